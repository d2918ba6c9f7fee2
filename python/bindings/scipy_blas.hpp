// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace etalage::python {

/// FAISS calls a BLAS and LAPACK by their Fortran names. This module brings none: it defines these names, and hands the calls on to those
/// that SciPy, which the package needs anyway, offers to compiled code (scipy.linalg.cython_blas, cython_lapack). To be called with the
/// GIL before FAISS is used; ImportError when SciPy lacks one.
void use_scipy_blas();

}  // namespace etalage::python
