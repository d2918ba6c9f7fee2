// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "registry.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled part of etalage; the package around it is the interface.";
  etalage::python::bind_all(m);
}
