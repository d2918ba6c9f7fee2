// SPDX-License-Identifier: Apache-2.0
// How likely a product was to stand where it stood, over everything that could have stood above it.
#include <cmath>
#include <limits>
#include <optional>

#include "detail/check.hpp"
#include "detail/random_stream.hpp"
#include "etalage/serving/impressions.hpp"

namespace etalage {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// What the record says of all candidates of an answer: they are known best first, each worth the same wherever it stands.
struct Candidates {
  std::vector<double> values;        ///< best first
  std::vector<ShownCounts> counts;   ///< likewise, or empty
  std::size_t models = 0;            ///< that said what they are worth
  std::vector<float> opinions;       ///< [candidates x models] what they said
  std::size_t pool = 0;              ///< of them stand at the first drawn place; one more for each that is taken
  std::vector<std::size_t> stood;    ///< by place, the candidate that stood there; kPinned
  std::size_t plain = 0;             ///< places that the record explains
};
constexpr std::size_t kPinned = static_cast<std::size_t>(-1);

/// Walks down the answer and checks at each place that what could stand there are the candidates that are left.
Candidates read(const Impression& shown) {
  Candidates c;
  std::vector<std::size_t> left;  // candidates not taken, best first
  const auto take = [&](std::size_t at) {
    c.stood.push_back(left[at]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
  };
  bool begun = false;
  const auto opinion = [&](const Impression::Place& p, std::size_t candidate, std::size_t model) { return p.opinions[model * p.values.size() + candidate]; };
  const auto add_opinions = [&](const Impression::Place& p, std::size_t candidate) {
    for (std::size_t m = 0; m < c.models; ++m) c.opinions.push_back(opinion(p, candidate, m));
  };
  for (const Impression::Place& p : shown.places) {
    if (!p.explored) {
      // Above the first draw all is certain. Below it the best that is left stands here, unless it is pinned.
      if (!begun || p.source == "pin") {
        c.stood.push_back(kPinned);
      } else {
        if (left.empty() || static_cast<float>(c.values[left[0]]) != p.score) break;
        take(0);
      }
    } else {
      if (!begun) {
        c.values = p.values;
        c.counts = p.counts;
        c.pool = p.values.size();
        c.models = p.opinions.size() / c.pool;
        for (std::size_t i = 0; i < c.pool; ++i) left.push_back(i);
        for (std::size_t i = 0; i < c.pool; ++i) add_opinions(p, i);
        begun = true;
      }
      if (p.values.size() < left.size() || p.counts.empty() != c.counts.empty() || p.opinions.size() != c.models * p.values.size()) break;
      bool same = true;
      for (std::size_t i = 0; i < left.size() && same; ++i) {
        same = c.values[left[i]] == p.values[i];
        for (std::size_t m = 0; m < c.models; ++m) same = same && c.opinions[left[i] * c.models + m] == opinion(p, i, m);
      }
      if (!same) break;
      for (std::size_t i = left.size(); i < p.values.size(); ++i) {  // those that moved up
        left.push_back(c.values.size());
        c.values.push_back(p.values[i]);
        if (!c.counts.empty()) c.counts.push_back(p.counts[i]);
        add_opinions(p, i);
      }
      if (left.size() > c.pool) break;
      take(p.chosen);
    }
    ++c.plain;
  }
  return c;
}

/// One walk down the places: who may stand where.
class Walk {
 public:
  Walk(const Impression& shown, const Candidates& c) : shown_(shown), c_(c) {}
  void start() {
    fresh_ = false;
    left_.clear();
    for (std::size_t i = 0; i < c_.pool; ++i) left_.push_back(i);
    next_ = c_.pool;
  }
  /// Probabilities of those that are left.
  std::span<const double> probabilities() {
    if (fresh_) return out_;
    values_.clear();
    counts_.clear();
    for (const std::size_t i : left_) {
      values_.push_back(c_.values[i]);
      if (!c_.counts.empty()) counts_.push_back(c_.counts[i]);
    }
    opinions_.clear();
    for (std::size_t m = 0; m < c_.models; ++m)
      for (const std::size_t i : left_) opinions_.push_back(c_.opinions[i * c_.models + m]);
    out_.resize(left_.size());
    exploration_probabilities(shown_.how, values_, counts_, out_, opinions_);
    fresh_ = true;
    return out_;
  }
  [[nodiscard]] std::optional<std::size_t> place_of(std::size_t candidate) const {
    for (std::size_t i = 0; i < left_.size(); ++i)
      if (left_[i] == candidate) return i;
    return {};
  }
  [[nodiscard]] std::size_t size() const noexcept { return left_.size(); }
  void take(std::size_t at) {
    fresh_ = false;
    left_.erase(left_.begin() + static_cast<std::ptrdiff_t>(at));
    if (next_ < c_.values.size()) left_.push_back(next_++);
  }
  /// The probability of the candidate at this place, given who is left.
  double probability(const Impression::Place& place, std::size_t candidate) {
    const auto at = place_of(candidate);
    if (!at) return 0;
    return place.explored ? probabilities()[*at] : *at == 0 ? 1 : 0;
  }

 private:
  const Impression& shown_;
  const Candidates& c_;
  std::vector<std::size_t> left_;
  std::size_t next_ = 0;
  std::vector<double> values_;
  std::vector<ShownCounts> counts_;
  std::vector<float> opinions_;
  std::vector<double> out_;
  bool fresh_ = false;  ///< out_ is of those that are left
};

}  // namespace

std::vector<Impression::Marginal> Impression::marginals(int draws, std::uint64_t seed_of_draws) const {
  detail::require(draws >= 1, "draws", draws, ">= 1");
  const Candidates c = read(*this);
  std::vector<Marginal> out(places.size(), {kUnknown, kUnknown});
  Walk walk(*this, c);
  std::vector<std::size_t> sampled;  // places with two draws or more above
  std::size_t drawn = 0;             // above the place
  std::size_t first = 0;             // the first drawn place
  for (std::size_t at = 0; at < c.plain; ++at) {
    const Place& p = places[at];
    if (c.stood[at] == kPinned) {
      out[at] = {1, 0};
    } else if (drawn == 0) {
      out[at] = {p.propensity, 0};
      first = at;
    } else if (drawn == 1) {
      // Each of those that could have stood at the first place, and what was certain between the two.
      walk.start();
      const std::vector<double> above(walk.probabilities().begin(), walk.probabilities().end());
      double sum = 0;
      for (std::size_t i = 0; i < above.size(); ++i) {
        if (!(above[i] > 0)) continue;
        walk.start();
        walk.take(i);
        for (std::size_t between = first + 1; between < at; ++between)
          if (c.stood[between] != kPinned) walk.take(0);
        sum += above[i] * walk.probability(p, c.stood[at]);
      }
      out[at] = {sum, 0};
    } else {
      sampled.push_back(at);
    }
    drawn += p.explored ? 1 : 0;
  }
  if (sampled.empty()) return out;
  std::vector<double> sums(places.size(), 0.0), squares(places.size(), 0.0);
  for (int d = 0; d < draws; ++d) {
    const std::uint64_t own = detail::split_mix(detail::split_mix(seed_of_draws) + static_cast<std::uint64_t>(d));
    walk.start();
    std::size_t above = 0;
    for (std::size_t at = first; at <= sampled.back(); ++at) {
      if (c.stood[at] == kPinned) continue;
      if (walk.size() == 0) break;
      if (above >= 2) {
        const double p = walk.probability(places[at], c.stood[at]);
        sums[at] += p;
        squares[at] += p * p;
      }
      walk.take(places[at].explored ? draw_candidate(walk.probabilities(), exploration_uniform(own, at)) : 0);
      above += places[at].explored ? 1 : 0;
    }
  }
  for (const std::size_t at : sampled) {
    const double mean = sums[at] / draws;
    const double variance = draws > 1 ? std::max(0.0, squares[at] - draws * mean * mean) / (draws - 1) : kUnknown;
    out[at] = {mean, std::sqrt(variance / draws)};
  }
  return out;
}

}  // namespace etalage
