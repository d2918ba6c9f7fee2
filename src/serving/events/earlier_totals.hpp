// SPDX-License-Identifier: Apache-2.0
// How events that fall out of a history become sums, and the sums records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "etalage/serving/earlier_totals.hpp"
#include "serving/events/event_codec.hpp"

namespace etalage::serving {

struct EarlierEvent {
  std::int64_t time_ms = 0;
  std::int32_t item = -1;
  float value = 1;
  std::uint16_t type = 0;
  bool purchase = false;
  bool returns = false;
};

void add_earlier(EarlierTotals& totals, const EarlierEvent& event, std::int64_t idle_ms, std::size_t bought_limit);
/// Another shopper's, who turned out to be the same; gaps between orders of the two are not seen.
void merge_earlier(EarlierTotals& into, const EarlierTotals& from, std::size_t bought_limit);
/// Items by number_of; those below 0 are left out.
void put_earlier(ByteWriter& w, const EarlierTotals& totals, const std::function<std::int32_t(std::int32_t)>& number_of);
/// FormatError for what no events amount to; items and types as `item` and `type` translate and check them.
[[nodiscard]] EarlierTotals get_earlier(ByteReader& r, const std::function<std::int32_t(std::int32_t)>& item,
                                        const std::function<std::uint16_t(std::uint16_t)>& type);
[[nodiscard]] std::size_t bytes_of(const EarlierTotals& totals) noexcept;

}  // namespace etalage::serving
