// SPDX-License-Identifier: Apache-2.0
#include "retrieval/lists/norm_tiers.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "kernels/row_scores.hpp"
#include "retrieval/lists/kmeans.hpp"
#include "retrieval/scorer.hpp"

namespace etalage::retrieval {
namespace {

constexpr int kTierIterations = 8;
constexpr std::size_t kSample = 64;      // training rows for each list
constexpr std::size_t kFirstTier = 512;  // rows
constexpr float kOneTier = 1.15f * 1.15f;  // squared lengths that differ by less
constexpr std::size_t kFewestOfAList = 8;

struct Tier {
  std::size_t begin = 0;  // among rows from long to short
  std::size_t end = 0;
  std::size_t lists = 0;
};

std::vector<Tier> tiers_of(const std::vector<std::int32_t>& rows, const ItemStore& store, std::size_t nlist) {
  const auto norm2 = [&](std::size_t i) { return store.norms2[static_cast<std::size_t>(rows[i])]; };
  std::vector<Tier> tiers;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = std::min(rows.size(), begin + std::max(kFirstTier, begin));
    if (rows.size() - end < (end - begin) / 2) end = rows.size();
    if (!tiers.empty() && norm2(tiers.back().begin) < kOneTier * norm2(end - 1)) tiers.back().end = end;
    else tiers.push_back({begin, end, 0});
    begin = end;
  }
  std::vector<double> weights;
  double sum = 0;
  for (const Tier& t : tiers) {
    double length = 0;
    for (std::size_t i = t.begin; i < t.end; ++i) length += std::sqrt(static_cast<double>(norm2(i)));
    const auto size = static_cast<double>(t.end - t.begin);
    weights.push_back(length * length / size);
    sum += weights.back();
  }
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const double share = sum > 0 ? weights[i] / sum : 1.0 / static_cast<double>(tiers.size());
    const auto wanted = static_cast<std::size_t>(std::lround(share * static_cast<double>(nlist)));
    tiers[i].lists = std::clamp<std::size_t>(wanted, 1, std::max<std::size_t>(1, (tiers[i].end - tiers[i].begin) / kFewestOfAList));
  }
  return tiers;
}

}  // namespace

std::shared_ptr<const NormTiers> NormTiers::train(const ItemStore& store, std::size_t nlist, std::uint64_t seed, int num_threads) {
  const std::size_t dim = store.dim;
  std::vector<std::int32_t> rows;
  for (std::size_t r = 0; r < store.rows; ++r)
    if (store.is_alive(r)) rows.push_back(static_cast<std::int32_t>(r));
  std::sort(rows.begin(), rows.end(), [&](std::int32_t a, std::int32_t b) {
    const float x = store.norms2[static_cast<std::size_t>(a)];
    const float y = store.norms2[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  std::shared_ptr<NormTiers> out(new NormTiers);
  out->dim_ = dim;
  std::vector<float> lows;
  std::vector<std::int32_t> firsts{0};
  std::vector<float> directions;
  std::mt19937_64 random(seed);
  for (const Tier& tier : tiers_of(rows, store, nlist)) {
    std::vector<std::int32_t> some(rows.begin() + static_cast<std::ptrdiff_t>(tier.begin), rows.begin() + static_cast<std::ptrdiff_t>(tier.end));
    lows.push_back(store.norms2[static_cast<std::size_t>(some.back())]);
    if (const std::size_t most = kSample * tier.lists; some.size() > most) {
      for (std::size_t i = 0; i < most; ++i) std::swap(some[i], some[i + random() % (some.size() - i)]);
      some.resize(most);
    }
    std::vector<float> units(some.size() * dim);
    for (std::size_t i = 0; i < some.size(); ++i) normalize(store.vector(static_cast<std::size_t>(some[i])), dim, &units[i * dim]);
    const Centroids c = kmeans(units, some.size(), dim, tier.lists, kTierIterations, seed + lows.size(), num_threads, /*directions=*/true);
    directions.insert(directions.end(), c.columns.begin(), c.columns.end());
    firsts.push_back(firsts.back() + static_cast<std::int32_t>(tier.lists));
  }
  lows.back() = 0;
  out->lows_ = Array<float>(lows);
  out->firsts_ = Array<std::int32_t>(firsts);
  out->directions_ = Array<float>(directions);
  return out;
}

std::size_t NormTiers::list_of(const float* x, float norm2, float* scores) const noexcept {
  std::size_t tier = 0;
  while (tier + 1 < lows_.size() && norm2 < lows_[tier]) ++tier;
  const auto first = static_cast<std::size_t>(firsts_[tier]);
  const std::size_t lists = static_cast<std::size_t>(firsts_[tier + 1]) - first;
  kernels::row_scores().dot_columns(x, directions_.data() + first * dim_, dim_, lists, scores);
  return first + static_cast<std::size_t>(std::max_element(scores, scores + lists) - scores);
}

void NormTiers::save(StateWriter& writer) const {
  writer.put_array("ivf/tiers/lows", lows_);
  writer.put_array("ivf/tiers/firsts", firsts_);
  writer.put_array("ivf/tiers/directions", directions_);
}

NormTiers::NormTiers(const StateReader& reader, std::size_t dim, std::size_t nlist) : dim_(dim) {
  lows_ = reader.get_array<float>("ivf/tiers/lows");
  firsts_ = reader.get_array<std::int32_t>("ivf/tiers/firsts", lows_.size() + 1);
  directions_ = reader.get_array<float>("ivf/tiers/directions", dim * nlist);
  // Few, and what list_of() reads by: looked at whatever was asked for.
  if (lows_.size() == 0 || firsts_[0] != 0 || static_cast<std::size_t>(firsts_[lows_.size()]) != nlist)
    reader.fail("ivf/tiers/firsts", "found tiers that do not span the " + std::to_string(nlist) + " lists");
  for (std::size_t t = 0; t < lows_.size(); ++t)
    if (firsts_[t + 1] <= firsts_[t]) reader.fail("ivf/tiers/firsts", "found no list for tier " + std::to_string(t));
  if (!reader.verify()) return;
  for (std::size_t t = 0; t < lows_.size(); ++t)
    if (!(lows_[t] >= 0) || (t > 0 && lows_[t] > lows_[t - 1])) reader.fail("ivf/tiers/lows", "found a bound that is negative or rises, at " + std::to_string(t));
  for (const float x : directions_)
    if (!std::isfinite(x)) reader.fail("ivf/tiers/directions", "found a value that is not finite");
}

std::size_t NormTiers::memory_bytes() const noexcept {
  return (lows_.size() + directions_.size()) * sizeof(float) + firsts_.size() * sizeof(std::int32_t);
}

}  // namespace etalage::retrieval
