// SPDX-License-Identifier: Apache-2.0
#include "scipy_blas.hpp"

#include <pybind11/pybind11.h>

#include <cstddef>
#include <utility>

namespace py = pybind11;

namespace {

template <std::size_t>
using Argument = void*;

template <std::size_t... I>
void call(void* function, std::index_sequence<I...>, Argument<I>... arguments) {
  reinterpret_cast<void (*)(Argument<I>...)>(function)(arguments...);
}

/// The capsule of a compiled function of SciPy; its name is the signature.
void* function_of(const char* module, const char* name) {
  const py::dict functions = py::module_::import(module).attr("__pyx_capi__");
  if (!functions.contains(name)) throw py::import_error(std::string(module) + " has no " + name + ", which FAISS needs: a newer SciPy has it");
  const py::object capsule = functions[name];
  void* found = PyCapsule_GetPointer(capsule.ptr(), PyCapsule_GetName(capsule.ptr()));
  if (found == nullptr) throw py::error_already_set();
  return found;
}

}  // namespace

// All arguments are pointers, in Fortran's way; the lengths of text that some compilers add are read by nobody.
#define ETALAGE_P1 void *a1
#define ETALAGE_P6 ETALAGE_P1, void *a2, void *a3, void *a4, void *a5, void *a6
#define ETALAGE_P7 ETALAGE_P6, void *a7
#define ETALAGE_P8 ETALAGE_P7, void *a8
#define ETALAGE_P9 ETALAGE_P8, void *a9
#define ETALAGE_P10 ETALAGE_P9, void *a10
#define ETALAGE_P11 ETALAGE_P10, void *a11
#define ETALAGE_P12 ETALAGE_P11, void *a12
#define ETALAGE_P13 ETALAGE_P12, void *a13
#define ETALAGE_P14 ETALAGE_P13, void *a14
#define ETALAGE_A6 a1, a2, a3, a4, a5, a6
#define ETALAGE_A7 ETALAGE_A6, a7
#define ETALAGE_A8 ETALAGE_A7, a8
#define ETALAGE_A9 ETALAGE_A8, a9
#define ETALAGE_A10 ETALAGE_A9, a10
#define ETALAGE_A11 ETALAGE_A10, a11
#define ETALAGE_A12 ETALAGE_A11, a12
#define ETALAGE_A13 ETALAGE_A12, a13
#define ETALAGE_A14 ETALAGE_A13, a14

// name, module, number of arguments
#define ETALAGE_FUNCTIONS(X) \
  X(sgemm, "scipy.linalg.cython_blas", 13) \
  X(dgemm, "scipy.linalg.cython_blas", 13) \
  X(ssyrk, "scipy.linalg.cython_blas", 10) \
  X(sgemv, "scipy.linalg.cython_blas", 11) \
  X(dgemv, "scipy.linalg.cython_blas", 11) \
  X(sgeqrf, "scipy.linalg.cython_lapack", 8) \
  X(sorgqr, "scipy.linalg.cython_lapack", 9) \
  X(ssyev, "scipy.linalg.cython_lapack", 9) \
  X(dsyev, "scipy.linalg.cython_lapack", 9) \
  X(sgesvd, "scipy.linalg.cython_lapack", 14) \
  X(dgesvd, "scipy.linalg.cython_lapack", 14) \
  X(sgetrf, "scipy.linalg.cython_lapack", 6) \
  X(dgetrf, "scipy.linalg.cython_lapack", 6) \
  X(sgetri, "scipy.linalg.cython_lapack", 7) \
  X(dgetri, "scipy.linalg.cython_lapack", 7) \
  X(sgelsd, "scipy.linalg.cython_lapack", 14)

#define ETALAGE_DEFINE(name, module, n) \
  static void* found_##name = nullptr; \
  extern "C" int name##_(ETALAGE_P##n) { \
    call(found_##name, std::make_index_sequence<n>(), ETALAGE_A##n); \
    return 0; \
  }
ETALAGE_FUNCTIONS(ETALAGE_DEFINE)

namespace etalage::python {

void use_scipy_blas() {
#define ETALAGE_FIND(name, module, n) found_##name = function_of(module, #name);
  ETALAGE_FUNCTIONS(ETALAGE_FIND)
#undef ETALAGE_FIND
}

}  // namespace etalage::python
