// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "etalage/core/event_log.hpp"

namespace etalage::detail {

/// weight(row) = quantity * event weight * decay, and which rows are returns.
class EventWeights {
 public:
  /// Checks the options against the log; std::invalid_argument.
  EventWeights(const EventLog& log, const InteractionOptions& options);

  [[nodiscard]] double quantity(std::size_t i) const noexcept {
    return columns_->values.empty() ? 1.0 : static_cast<double>(columns_->values[i]);
  }
  [[nodiscard]] double factor(std::size_t i) const noexcept {
    const double w = type_weights_.empty() ? 1.0 : type_weights_[columns_->events[i]];
    return decays() ? w * decay(i) : w;
  }
  /// Whether an event's weight is its quantity alone.
  [[nodiscard]] bool plain() const noexcept { return type_weights_.empty() && !decays(); }
  [[nodiscard]] bool decays() const noexcept { return half_life_ms_ > 0; }
  /// 2^(-age / half-life), 1 without decay. The age counts up to 800 half-lives, so that in double precision no weight
  /// of a float32 value underflows and what is summed keeps its sign.
  [[nodiscard]] double decay(std::size_t i) const noexcept {
    if (!decays()) return 1;
    return std::exp2(std::max(-kMostHalfLives, -static_cast<double>(now_ms_ - columns_->times_ms[i]) / half_life_ms_));
  }
  /// Cheap test that leaves out rows which weigh nothing whatever their age.
  [[nodiscard]] bool counts(std::size_t i) const noexcept {
    return (type_weights_.empty() || type_weights_[columns_->events[i]] != 0) && (columns_->values.empty() || columns_->values[i] != 0);
  }

  [[nodiscard]] bool has_returns() const noexcept { return return_type_ >= 0 || negative_cancels_; }
  [[nodiscard]] bool is_return(std::size_t i) const noexcept {
    return type_of(i) == return_type_ || (negative_cancels_ && quantity(i) < 0);
  }
  /// Whether the return at row r takes back from the event at row i.
  [[nodiscard]] bool cancels(std::size_t r, std::size_t i) const noexcept {
    if (type_of(r) == return_type_) return cancelled_types_[static_cast<std::size_t>(type_of(i))] != 0;
    return type_of(r) == type_of(i);
  }

 private:
  static constexpr double kMostHalfLives = 800;
  // -1 without an event column, which no return_type_ >= 0 equals; return_type_ is -2 when there is none.
  [[nodiscard]] int type_of(std::size_t i) const noexcept { return columns_->events.empty() ? -1 : columns_->events[i]; }

  const EventLog::Columns* columns_;
  std::vector<double> type_weights_;
  std::vector<std::uint8_t> cancelled_types_;
  int return_type_ = -2;
  bool negative_cancels_ = false;
  double half_life_ms_ = 0;
  std::int64_t now_ms_ = 0;
};

}  // namespace etalage::detail
