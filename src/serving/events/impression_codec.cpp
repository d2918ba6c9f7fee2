// SPDX-License-Identifier: Apache-2.0
#include "serving/events/impression_codec.hpp"

#include <cmath>
#include <string>

#include "etalage/serving/engine.hpp"

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
  w.put(head.asked ? ShownKind::kAsked : ShownKind::kShown);
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

namespace {

// Parts of a question, a bit each.
constexpr std::uint8_t kExcludesSeen = 1, kFills = 2, kFilter = 4, kAnchors = 8, kSession = 16, kGiven = 32, kVector = 64, kWhere = 128;

std::size_t key_bytes(KeyView key) noexcept {
  const auto* text = std::get_if<std::string_view>(&key);
  return 1 + (text == nullptr ? sizeof(std::int64_t) : sizeof(std::uint32_t) + text->size());
}

void put_keys(ByteWriter& w, const BoundKeys& keys) {
  if (keys.empty()) return;
  w.put(static_cast<std::uint32_t>(keys.size()));
  for (const KeyView key : keys) w.put_key(key);
}

std::vector<Key> get_keys(ByteReader& r) {
  std::vector<Key> out(r.get_count(5));
  for (Key& key : out) key = key_of(r.get_key());
  return out;
}

}  // namespace

std::size_t asked_bytes(const AskedFor& a) noexcept {
  const Request& q = a.request;
  std::size_t bytes = 21;
  if (q.filter != nullptr) bytes += 4 + q.filter->to_json().size();
  for (const BoundKeys* keys : {&q.anchors, &q.session})
    for (const KeyView key : *keys) bytes += key_bytes(key);
  for (const auto& [key, score] : q.given) bytes += key_bytes(key) + sizeof score;
  return bytes + q.query_vector.size_bytes() + q.segment.size() + q.place.size() + 24;
}

void put_asked(ByteWriter& w, const AskedFor& a) {
  const Request& q = a.request;
  const bool where = !q.segment.empty() || !q.place.empty();
  w.put(static_cast<std::uint32_t>(std::min(q.k, std::size_t{0xffffffff})));
  w.put(static_cast<std::uint8_t>((a.exclude_seen ? kExcludesSeen : 0) | (a.fill ? kFills : 0) | (q.filter != nullptr ? kFilter : 0) |
                                  (q.anchors.empty() ? 0 : kAnchors) | (q.session.empty() ? 0 : kSession) | (q.given.empty() ? 0 : kGiven) |
                                  (q.query_vector.empty() ? 0 : kVector) | (where ? kWhere : 0)));
  w.put(a.events);
  w.put(a.mark);
  if (q.filter != nullptr) w.put_text(q.filter->to_json());
  put_keys(w, q.anchors);
  put_keys(w, q.session);
  if (!q.given.empty()) {
    w.put(static_cast<std::uint32_t>(q.given.size()));
    for (const auto& [key, score] : q.given) {
      w.put_key(key);
      w.put(score);
    }
  }
  if (!q.query_vector.empty()) {
    w.put(static_cast<std::uint32_t>(q.query_vector.size()));
    w.put_bytes(std::as_bytes(q.query_vector));
  }
  if (!where) return;
  w.put_text(q.segment);
  w.put_text(q.place);
}

Impression::Question get_asked(ByteReader& r) {
  Impression::Question q;
  q.k = r.get<std::uint32_t>();
  const auto parts = r.get<std::uint8_t>();
  q.exclude_seen = (parts & kExcludesSeen) != 0;
  q.fill = (parts & kFills) != 0;
  q.events = r.get<std::uint32_t>();
  q.mark = r.get<std::uint64_t>();
  if ((parts & kFilter) != 0) q.filter = r.get_text();
  if ((parts & kAnchors) != 0) q.anchors = get_keys(r);
  if ((parts & kSession) != 0) q.session = get_keys(r);
  if ((parts & kGiven) != 0) q.given.resize(r.get_count(9));
  for (auto& [key, score] : q.given) {
    key = key_of(r.get_key());
    score = r.get<float>();
  }
  if ((parts & kVector) != 0) q.query_vector.resize(r.get_count(sizeof(float)));
  for (float& x : q.query_vector) x = r.get<float>();
  if ((parts & kWhere) == 0) return q;
  q.segment = r.get_text();
  q.place = r.get_text();
  return q;
}

ShownHead get_head(ByteReader& r) {
  ShownHead h;
  const auto kind = r.get<ShownKind>();
  if (kind != ShownKind::kShown && kind != ShownKind::kAsked) ByteReader::fail("found no impression where one was expected");
  h.asked = kind == ShownKind::kAsked;
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
  if (h.asked) out.question = get_asked(r);
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
