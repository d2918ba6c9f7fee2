// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"
#include "etalage/evaluation/off_policy.hpp"

namespace etalage::evaluation {

/// "name[i] is value, must be rule"; nothing is built unless it is broken.
template <class T>
void require_entry(bool ok, const char* name, std::size_t i, T value, const char* rule) {
  if (!ok) throw std::invalid_argument(detail::violated((std::string(name) + "[" + std::to_string(i) + "]").c_str(), value, rule));
}

/// std::invalid_argument: argument, value, rule. Everything that estimators read afterwards is in range.
void check_log(const OffPolicyLog& log);

/// Does `estimator` have its inputs and make sense for this form of list?
void check_estimator(const OffPolicyLog& log, OffPolicyEstimator estimator, ListForm form);

}  // namespace etalage::evaluation
