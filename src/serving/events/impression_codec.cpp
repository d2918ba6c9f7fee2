// SPDX-License-Identifier: Apache-2.0
#include "serving/events/impression_codec.hpp"

#include <cmath>
#include <string>

namespace etalage {
namespace serving {

double parameter_of(const Exploration& how) noexcept {
  switch (how.policy) {
    case PlacePolicy::kEpsilon:
    case PlacePolicy::kBootstrap: return how.epsilon;
    case PlacePolicy::kSoftmax: return how.temperature;
    case PlacePolicy::kSquareCb: return how.gamma;
    default: return 0;
  }
}

void put_head(ByteWriter& w, const ShownHead& head) {
  w.put(ShownKind::kShown);
  w.put(head.time_ms);
  w.put(static_cast<std::uint8_t>(head.user ? 1 : 0));
  if (head.user) w.put_key(*head.user);
  w.put(head.placement);
  w.put(head.snapshot);
  w.put(head.policy);
  w.put(head.parameter);
  w.put(head.seed);
}

void put_place(ByteWriter& w, const ShownPlace& place) {
  w.put_key(place.item);
  w.put_text(place.source);
  w.put(place.score);
}

void put_not_drawn(ByteWriter& w) { w.put(std::uint8_t{0}); }

void put_drawn(ByteWriter& w, double propensity, std::size_t chosen, std::span<const double> values, std::span<const ShownCounts> counts,
               std::span<const float> opinions) {
  w.put(std::uint8_t{1});
  w.put(propensity);
  w.put(static_cast<std::uint16_t>(chosen));
  w.put(static_cast<std::uint8_t>((counts.empty() ? 0 : kWithCounts) | (opinions.empty() ? 0 : kWithOpinions)));
  w.put(static_cast<std::uint32_t>(values.size()));
  w.put_bytes(std::as_bytes(values));
  w.put_bytes(std::as_bytes(counts));
  if (opinions.empty()) return;
  w.put(static_cast<std::uint32_t>(opinions.size()));
  w.put_bytes(std::as_bytes(opinions));
}

ShownHead get_head(ByteReader& r) {
  ShownHead h;
  if (r.get<ShownKind>() != ShownKind::kShown) ByteReader::fail("found no impression where one was expected");
  h.time_ms = r.get<std::int64_t>();
  if (r.get<std::uint8_t>() != 0) h.user = r.get_key();
  const auto placement = r.get<std::uint8_t>();
  if (placement >= kPlacements) ByteReader::fail("found placement " + std::to_string(placement) + ", expected one of " + std::to_string(kPlacements));
  h.placement = static_cast<Placement>(placement);
  h.snapshot = r.get<std::uint64_t>();
  const auto policy = r.get<std::uint8_t>();
  if (policy > static_cast<std::uint8_t>(PlacePolicy::kBootstrap))
    ByteReader::fail("found exploration policy " + std::to_string(policy) + ", expected a known one (upgrade etalage to read it)");
  h.policy = static_cast<PlacePolicy>(policy);
  h.parameter = r.get<double>();
  if (!std::isfinite(h.parameter)) ByteReader::fail("found a parameter of exploration that is not finite");
  h.seed = r.get<std::uint64_t>();
  return h;
}

Impression decode(std::uint64_t request, std::span<const std::byte> payload) {
  ByteReader r(payload);
  const ShownHead h = get_head(r);
  Impression out;
  out.request = request;
  out.time_ms = h.time_ms;
  if (h.user) out.user = key_of(*h.user);
  out.placement = h.placement;
  out.snapshot = h.snapshot;
  out.how.policy = h.policy;
  if (h.policy == PlacePolicy::kEpsilon || h.policy == PlacePolicy::kBootstrap) out.how.epsilon = h.parameter;
  if (h.policy == PlacePolicy::kSoftmax) out.how.temperature = h.parameter;
  if (h.policy == PlacePolicy::kSquareCb) out.how.gamma = h.parameter;
  out.seed = h.seed;
  const auto n = r.get_count(8);
  out.places.resize(n);
  for (Impression::Place& p : out.places) {
    p.item = key_of(r.get_key());
    p.source = r.get_text();
    p.score = r.get<float>();
    p.explored = r.get<std::uint8_t>() != 0;
    if (!p.explored) continue;
    p.propensity = r.get<double>();
    if (!(p.propensity > 0 && p.propensity <= 1)) ByteReader::fail("found a propensity of " + std::to_string(p.propensity) + ", expected one in (0, 1]");
    p.chosen = r.get<std::uint16_t>();
    const auto with = r.get<std::uint8_t>();
    if ((with & ~(kWithCounts | kWithOpinions)) != 0) ByteReader::fail("found parts of a drawn place that are not known (upgrade etalage to read it)");
    const auto size = r.get_count(sizeof(double));
    if (p.chosen >= size) ByteReader::fail("found candidate " + std::to_string(p.chosen) + " chosen of " + std::to_string(size));
    p.values.resize(size);
    for (double& v : p.values) v = r.get<double>();
    if ((with & kWithCounts) != 0) p.counts.resize(size);
    for (ShownCounts& c : p.counts) c = r.get<ShownCounts>();
    if ((with & kWithOpinions) != 0) {
      const auto opinions = r.get_count(sizeof(float));
      if (opinions == 0 || opinions % size != 0)
        ByteReader::fail("found " + std::to_string(opinions) + " opinions on " + std::to_string(size) + " candidates, expected one on each by each model");
      p.opinions.resize(opinions);
      for (float& o : p.opinions) o = r.get<float>();
    }
    if (h.policy == PlacePolicy::kBootstrap && p.opinions.empty()) ByteReader::fail("found a place drawn by bootstrapped models without their opinions");
  }
  if (!r.done()) ByteReader::fail("found more behind its end");
  return out;
}

}  // namespace serving

bool Impression::replays() const {
  std::vector<double> probabilities;
  for (std::size_t at = 0; at < places.size(); ++at) {
    const Place& p = places[at];
    if (!p.explored) continue;
    probabilities.resize(p.values.size());
    exploration_probabilities(how, p.values, p.counts, probabilities, p.opinions);
    const std::size_t again = draw_candidate(probabilities, exploration_uniform(seed, at));
    if (again != p.chosen || probabilities[again] != p.propensity) return false;
  }
  return true;
}

}  // namespace etalage
