// SPDX-License-Identifier: Apache-2.0
#include "core/event_weights.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"

namespace etalage {

void InteractionOptions::validate() const {
  for (const auto& [name, weight] : event_weights)
    detail::require_finite(true, ("event_weights['" + name + "']").c_str(), weight, "finite");
  require_options(*this);
  if (value_transform == ValueTransform::kCap) detail::require_finite(value_cap > 0, "value_cap", value_cap, "a finite number > 0");
  if (!return_cancels.empty() && return_event.empty())
    throw std::invalid_argument("return_cancels names event types but return_event is not given, must be given too");
  for (const std::string& name : return_cancels)
    if (name == return_event)
      throw std::invalid_argument("return_cancels holds '" + name + "', must not hold return_event itself");
}

namespace detail {
namespace {

/// Index of an event type that an option names; an error that lists what the log has, since a name that is not there is
/// nearly always mistyped and would otherwise do nothing.
std::size_t type_named(const EventLog::Columns& c, const std::string& name, const char* option) {
  const auto at = std::find(c.event_names.begin(), c.event_names.end(), name);
  if (at != c.event_names.end()) return static_cast<std::size_t>(at - c.event_names.begin());
  std::string known;
  for (const std::string& n : c.event_names) known += (known.empty() ? "'" : ", '") + n + "'";
  throw std::invalid_argument(std::string(option) + " names '" + name + "', which is no event type of the log, must be one of " + known);
}

}  // namespace

EventWeights::EventWeights(const EventLog& log, const InteractionOptions& options) : columns_(&log.columns()) {
  options.validate();
  const EventLog::Columns& c = *columns_;
  const bool no_events = c.event_names.empty() && log.size() != 0;
  if (no_events && (!options.event_weights.empty() || !options.return_event.empty()))
    throw std::invalid_argument(std::string(options.event_weights.empty() ? "return_event" : "event_weights") +
                                " is given but the log has no event column, must be read with one");
  if (!options.event_weights.empty()) {
    for (const std::string& name : c.event_names) {
      const auto found = options.event_weights.find(name);
      if (found == options.event_weights.end() && name != options.return_event)
        throw std::invalid_argument("event_weights has no weight for event type '" + name +
                                    "' of the log, must name every type (0 leaves a type out)");
      type_weights_.push_back(found == options.event_weights.end() ? 1.0 : found->second);
    }
  }
  // A log without rows and names has nothing that a name could be held against.
  if (!options.return_event.empty() && !c.event_names.empty()) {
    cancelled_types_.assign(c.event_names.size(), options.return_cancels.empty() ? 1 : 0);
    return_type_ = static_cast<int>(type_named(c, options.return_event, "return_event"));
    for (const std::string& name : options.return_cancels) cancelled_types_[type_named(c, name, "return_cancels")] = 1;
  }
  if (options.negative_values == NegativeValues::kCancel) {
    if (c.values.empty() && log.size() != 0)
      throw std::invalid_argument("negative_values is cancel but the log has no value column, must be read with one");
    negative_cancels_ = true;
  }
  if (options.half_life_days > 0 && log.size() != 0) {
    if (c.times_ms.empty())
      throw std::invalid_argument("half_life_days is given but the log has no time column, must be read with one");
    half_life_ms_ = options.half_life_days * 86400000.0;
    now_ms_ = options.now_ms ? *options.now_ms : *std::max_element(c.times_ms.begin(), c.times_ms.end());
  }
}

}  // namespace detail
}  // namespace etalage
