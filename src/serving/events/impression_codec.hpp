// SPDX-License-Identifier: Apache-2.0
// The records of the impression log.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "etalage/serving/impressions.hpp"
#include "serving/events/event_codec.hpp"

namespace etalage {
struct Request;
}

namespace etalage::serving {

/// First byte of a record. As in event_codec.hpp a number keeps its meaning for ever, and unknown ones are refused.
enum class ShownKind : std::uint8_t {
  kShown = 1,    ///< an answer; its number is that of the record
  kReacted = 2,  ///< number, place, event, time, value, whether by the request's number, whether it takes credit back
  kErased = 3,   ///< key
  kMerged = 4,   ///< from, to
  kKept = 5,     ///< of a compaction: number, and the answer's record
  kWere = 6,     ///< of a compaction: hash of a customer's key, and of that of a visitor who became them
  kAsked = 7     ///< an answer as kShown, and behind its places what was asked for
};

struct ShownPlace {
  KeyView item;
  std::string_view source;
  float score = 0;
};

/// What an answer's record begins with.
struct ShownHead {
  std::int64_t time_ms = 0;
  std::optional<KeyView> user;
  Placement placement = Placement::kHome;
  std::uint64_t snapshot = 0;
  PlacePolicy policy = PlacePolicy::kGreedy;
  double parameter = 0;  ///< epsilon, temperature or gamma
  std::uint64_t seed = 0;
  bool asked = false;    ///< what was asked for stands behind the places
};

/// What was asked for: views of the request and of the shopper's history.
struct AskedFor {
  const Request& request;
  bool exclude_seen;
  bool fill;
  std::uint32_t events;
  std::uint64_t mark;
};
/// Bytes that put_asked() would write.
[[nodiscard]] std::size_t asked_bytes(const AskedFor& asked) noexcept;
void put_asked(ByteWriter& w, const AskedFor& asked);
[[nodiscard]] Impression::Question get_asked(ByteReader& r);

/// The parameter that a policy has.
[[nodiscard]] double parameter_of(const Exploration& how) noexcept;

void put_head(ByteWriter& w, const ShownHead& head);
void put_place(ByteWriter& w, const ShownPlace& place);
/// A place that was drawn; counts are as many as values, or none, opinions as many for each of some models, or none.
void put_drawn(ByteWriter& w, double propensity, std::size_t chosen, std::span<const double> values, std::span<const ShownCounts> counts,
               std::span<const float> opinions);
void put_not_drawn(ByteWriter& w);

[[nodiscard]] ShownHead get_head(ByteReader& r);  ///< FormatError for what none of ours says
/// Items of the places alone, for finding a product: visit(place, key) until it returns false.
template <class Visit>
void each_item(std::span<const std::byte> payload, const Visit& visit);
[[nodiscard]] Impression decode(std::uint64_t request, std::span<const std::byte> payload);

/// What the record of a drawn place has besides values, bit for bit of a byte.
inline constexpr std::uint8_t kWithCounts = 1;
inline constexpr std::uint8_t kWithOpinions = 2;

inline void skip_drawn(ByteReader& r) {
  if (r.get<std::uint8_t>() == 0) return;
  (void)r.get<double>();
  (void)r.get<std::uint16_t>();
  const auto with = r.get<std::uint8_t>();
  const auto n = r.get_count(sizeof(double));
  for (std::uint32_t i = 0; i < n; ++i) (void)r.get<double>();
  for (std::uint32_t i = 0; (with & kWithCounts) != 0 && i < n; ++i) (void)r.get<std::uint64_t>();
  if ((with & kWithOpinions) == 0) return;
  const auto opinions = r.get_count(sizeof(float));
  for (std::uint32_t i = 0; i < opinions; ++i) (void)r.get<float>();
}

template <class Visit>
void each_item(std::span<const std::byte> payload, const Visit& visit) {
  ByteReader r(payload);
  (void)get_head(r);
  const auto n = r.get_count(8);
  for (std::uint32_t place = 0; place < n; ++place) {
    const KeyView key = r.get_key();
    (void)r.get_text();
    (void)r.get<float>();
    skip_drawn(r);
    if (!visit(place, key)) return;
  }
}

}  // namespace etalage::serving
