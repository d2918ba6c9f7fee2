// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

#include "etalage/export.hpp"

namespace etalage {

// Bad arguments are std::invalid_argument, bad indices std::out_of_range; every message names the argument, the
// value received and the rule it breaks. The types below are what the standard library has no word for.

/// A model was asked before it was fitted.
class ETALAGE_EXPORT NotFittedError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// A computation left the finite numbers; the message names the row and what to change.
class ETALAGE_EXPORT NumericalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file is damaged, truncated, foreign or newer; the message says what was found and what was expected.
class ETALAGE_EXPORT FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A call that this model does not have; the message names model and call. NotImplementedError in Python.
class ETALAGE_EXPORT UnsupportedError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// The host asked to stop through a callback, where stopping cannot keep a partial result.
class ETALAGE_EXPORT CancelledError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace etalage
