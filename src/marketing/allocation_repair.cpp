// SPDX-License-Identifier: Apache-2.0
#include "marketing/allocation_repair.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"

namespace etalage::marketing {

Assignment::Assignment(const AllocationProblem& problem, const Prices& prices, int num_threads)
    : p_(problem), prices_(prices), num_threads_(num_threads),
      places_(std::min(static_cast<std::size_t>(problem.per_shopper), problem.offers)), taken_(problem.shoppers * places_, -1),
      spent_(problem.budgets.size()), given_(problem.offers) {
  for (const double b : p_.budgets) limit_.push_back(b * (1 + 1e-12));
  detail::parallel_for(p_.shoppers, kShoppersOfChunk, num_threads_, [&](std::size_t begin, std::size_t end, int) {
    ShopperChoice choice(p_);
    for (std::size_t s = begin; s < end; ++s) {
      const auto offers = choice.at(prices_, s);
      std::copy(offers.begin(), offers.end(), taken_.begin() + static_cast<std::ptrdiff_t>(s * places_));
    }
  });
  for (std::size_t s = 0; s < p_.shoppers; ++s)
    for (std::size_t j = 0; j < places_; ++j) {
      const std::int32_t o = slot(s, j);
      if (o < 0) continue;
      ++given_[static_cast<std::size_t>(o)];
      for (std::size_t b = 0; b < spent_.size(); ++b) spent_[b] += cost(s, o)[b];
    }
}

template <class Collect>
std::vector<Assignment::Move> Assignment::collect(Collect&& collect_of) const {
  std::vector<std::vector<Move>> chunks(detail::num_chunks(p_.shoppers, kShoppersOfChunk));
  detail::parallel_for(p_.shoppers, kShoppersOfChunk, num_threads_, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t s = begin; s < end; ++s) collect_of(s, chunks[begin / kShoppersOfChunk]);
  });
  std::vector<Move> all;
  for (const auto& chunk : chunks) all.insert(all.end(), chunk.begin(), chunk.end());
  std::sort(all.begin(), all.end(), [](const Move& a, const Move& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.shopper != b.shopper ? a.shopper < b.shopper : a.slot < b.slot;
  });
  return all;
}

bool Assignment::at_maximum(std::int32_t offer) const {
  return !p_.offer_max.empty() && given_[static_cast<std::size_t>(offer)] >= p_.offer_max[static_cast<std::size_t>(offer)];
}

bool Assignment::above_maximum(std::int32_t offer) const {
  return !p_.offer_max.empty() && given_[static_cast<std::size_t>(offer)] > p_.offer_max[static_cast<std::size_t>(offer)];
}

std::int32_t Assignment::empty_slot(std::size_t shopper) const {
  for (std::size_t j = 0; j < places_; ++j)
    if (slot(shopper, j) < 0) return static_cast<std::int32_t>(j);
  return -1;
}

bool Assignment::may_take(std::size_t shopper, std::int32_t replaced, std::int32_t offer) const {
  if (!p_.eligible.empty() && p_.eligible[shopper * p_.offers + static_cast<std::size_t>(offer)] == 0) return false;
  const std::int32_t group = p_.exclusive.empty() ? -1 : p_.exclusive[static_cast<std::size_t>(offer)];
  for (std::size_t j = 0; j < places_; ++j) {
    const std::int32_t other = slot(shopper, j);
    if (other < 0) continue;
    if (other == offer) return false;
    if (static_cast<std::int32_t>(j) != replaced && group >= 0 && p_.exclusive[static_cast<std::size_t>(other)] == group) return false;
  }
  return true;
}

void Assignment::apply(const Move& move) {
  const std::size_t s = move.shopper;
  const auto place = static_cast<std::size_t>(move.slot);
  const std::int32_t old = slot(s, place);
  if (old >= 0) {
    --given_[static_cast<std::size_t>(old)];
    for (std::size_t b = 0; b < spent_.size(); ++b) spent_[b] -= cost(s, old)[b];
  }
  if (move.offer >= 0) {
    ++given_[static_cast<std::size_t>(move.offer)];
    for (std::size_t b = 0; b < spent_.size(); ++b) spent_[b] += cost(s, move.offer)[b];
  }
  slot(s, place) = move.offer;
}

bool Assignment::limits_hold() const {
  for (std::size_t b = 0; b < spent_.size(); ++b)
    if (spent_[b] > limit_[b]) return false;
  for (std::size_t o = 0; o < p_.offers; ++o)
    if (above_maximum(static_cast<std::int32_t>(o))) return false;
  return true;
}

bool Assignment::fits(const Move& move) const {
  const std::int32_t old = slot(move.shopper, static_cast<std::size_t>(move.slot));
  for (std::size_t b = 0; b < spent_.size(); ++b) {
    const double change = (move.offer < 0 ? 0.0 : cost(move.shopper, move.offer)[b]) - (old < 0 ? 0.0 : cost(move.shopper, old)[b]);
    if (change > 0 && spent_[b] + change > limit_[b]) return false;
  }
  return true;
}

bool Assignment::reach_minima() {
  for (int round = 0; round < 8; ++round) {
    bool changed = false;
    for (const std::size_t missing : short_offers()) {
      const auto offer = static_cast<std::int32_t>(missing);
      const auto moves = collect([&](std::size_t s, std::vector<Move>& out) {
        // Into an empty place, or instead of the offer that is missed least, of those that have more than their minimum.
        Move best{0, static_cast<std::uint32_t>(s), -1, offer};
        double least = -kNever;
        for (std::size_t j = 0; j < places_; ++j) {
          const std::int32_t old = slot(s, j);
          if (old >= 0 && given_[static_cast<std::size_t>(old)] <= minimum(old)) continue;
          if (!may_take(s, static_cast<std::int32_t>(j), offer)) continue;
          const double loss = worth(s, old) - worth(s, offer);
          if (loss < least) {
            least = loss;
            best.slot = static_cast<std::int32_t>(j);
          }
        }
        best.rank = least;
        if (best.slot >= 0) out.push_back(best);
      });
      for (const Move& move : moves) {
        if (given_[missing] >= minimum(offer)) break;
        const std::int32_t old = slot(move.shopper, static_cast<std::size_t>(move.slot));
        if (old >= 0 && given_[static_cast<std::size_t>(old)] <= minimum(old)) continue;
        apply(move);
        changed = true;
      }
    }
    if (short_offers().empty()) return true;
    if (!changed) return false;
  }
  return short_offers().empty();
}

bool Assignment::keep_limits() {
  for (int round = 0; round < 12 && !limits_hold(); ++round) {
    // Later rounds only take away, which always helps.
    const bool exchange = round < 4;
    std::vector<double> excess(spent_.size());
    for (std::size_t b = 0; b < spent_.size(); ++b) excess[b] = std::max(0.0, spent_[b] - limit_[b]);
    const auto moves = collect([&](std::size_t s, std::vector<Move>& out) {
      for (std::size_t j = 0; j < places_; ++j) {
        const std::int32_t old = slot(s, j);
        if (old < 0) continue;
        const double had = worth(s, old);
        Move best{-kNever, static_cast<std::uint32_t>(s), static_cast<std::int32_t>(j), -1};
        const std::int32_t last = exchange ? static_cast<std::int32_t>(p_.offers) : 0;
        for (std::int32_t o = -1; o < last; ++o) {
          if (o >= 0 && (o == old || at_maximum(o) || !may_take(s, static_cast<std::int32_t>(j), o))) continue;
          double relief = above_maximum(old) ? 1.0 / static_cast<double>(given_[static_cast<std::size_t>(old)]) : 0.0;
          bool worse = false;
          for (std::size_t b = 0; b < spent_.size(); ++b) {
            if (excess[b] <= 0) continue;
            const double less = cost(s, old)[b] - (o < 0 ? 0.0 : cost(s, o)[b]);
            worse |= less < 0;
            relief += less / excess[b];
          }
          if (worse || !(relief > 0)) continue;
          const double rank = (had - worth(s, o)) / relief;
          if (rank < best.rank) {
            best.rank = rank;
            best.offer = o;
          }
        }
        if (best.rank < -kNever) out.push_back(best);
      }
    });
    bool changed = false;
    for (const Move& move : moves) {
      const std::int32_t old = slot(move.shopper, static_cast<std::size_t>(move.slot));
      if (old < 0 || given_[static_cast<std::size_t>(old)] <= minimum(old)) continue;
      if (move.offer >= 0 && (at_maximum(move.offer) || !may_take(move.shopper, move.slot, move.offer))) continue;
      // Only what still relieves a limit that is exceeded now.
      bool helps = above_maximum(old);
      for (std::size_t b = 0; b < spent_.size(); ++b)
        helps |= spent_[b] > limit_[b] && cost(move.shopper, old)[b] > (move.offer < 0 ? 0.0 : cost(move.shopper, move.offer)[b]);
      if (!helps || !fits(move)) continue;
      apply(move);
      changed = true;
      if (limits_hold()) break;
    }
    if (!changed && !exchange) return false;
  }
  return limits_hold();
}

void Assignment::fill(std::uint64_t seed) {
  for (int round = 0; round < 3; ++round) {
    const auto moves = collect([&](std::size_t s, std::vector<Move>& out) {
      const std::int32_t free = empty_slot(s);
      for (std::size_t j = 0; j < places_; ++j) {
        const std::int32_t old = slot(s, j);
        if (old < 0 && static_cast<std::int32_t>(j) != free) continue;
        const double had = worth(s, old);
        const double value = old < 0 ? 0.0 : p_.values[s * p_.offers + static_cast<std::size_t>(old)];
        Move best{-kNever, static_cast<std::uint32_t>(s), static_cast<std::int32_t>(j), -1};
        for (std::int32_t o = 0; o < static_cast<std::int32_t>(p_.offers); ++o) {
          const double gain = p_.values[s * p_.offers + static_cast<std::size_t>(o)] - value;
          if (!(gain > 0) || at_maximum(o) || !may_take(s, static_cast<std::int32_t>(j), o)) continue;
          const Move move{0, static_cast<std::uint32_t>(s), static_cast<std::int32_t>(j), o};
          if (!fits(move)) continue;
          // What is paid at the prices for a unit of value gained: below 1 where the exchange is a gain even after prices.
          const double paid = gain - (worth(s, o) - had);
          const double shake = seed == 0 ? 0.0 : static_cast<double>(detail::RandomStream(seed, 1, s * places_ + j).next() >> 11) * 0x1.0p-53;
          const double rank = paid / gain + shake;
          if (rank < best.rank) {
            best = move;
            best.rank = rank;
          }
        }
        if (best.offer >= 0) out.push_back(best);
      }
    });
    bool changed = false;
    for (const Move& move : moves) {
      const std::int32_t old = slot(move.shopper, static_cast<std::size_t>(move.slot));
      if (old >= 0 && given_[static_cast<std::size_t>(old)] <= minimum(old)) continue;
      if (at_maximum(move.offer) || !may_take(move.shopper, move.slot, move.offer) || !fits(move)) continue;
      const double before = old < 0 ? 0.0 : p_.values[move.shopper * p_.offers + static_cast<std::size_t>(old)];
      if (!(p_.values[move.shopper * p_.offers + static_cast<std::size_t>(move.offer)] > before)) continue;
      apply(move);
      changed = true;
    }
    if (!changed) return;
  }
}

void Assignment::loosen(std::uint64_t seed, std::uint64_t one_in) {
  for (std::size_t s = 0; s < p_.shoppers; ++s) {
    if (detail::RandomStream(seed, 2, s).next() % one_in != 0) continue;
    for (std::size_t j = 0; j < places_; ++j) {
      const std::int32_t old = slot(s, j);
      if (old >= 0 && given_[static_cast<std::size_t>(old)] > minimum(old)) apply({0, static_cast<std::uint32_t>(s), static_cast<std::int32_t>(j), -1});
    }
  }
}

double Assignment::value() const {
  double out = 0;
  for (std::size_t s = 0; s < p_.shoppers; ++s)
    for (std::size_t j = 0; j < places_; ++j)
      if (slot(s, j) >= 0) out += p_.values[s * p_.offers + static_cast<std::size_t>(slot(s, j))];
  return out;
}

std::vector<std::size_t> Assignment::short_offers() const {
  std::vector<std::size_t> out;
  for (std::size_t o = 0; o < p_.offers; ++o)
    if (given_[o] < minimum(static_cast<std::int32_t>(o))) out.push_back(o);
  return out;
}

std::vector<std::size_t> Assignment::exceeded_budgets() const {
  std::vector<std::size_t> out;
  for (std::size_t b = 0; b < spent_.size(); ++b)
    if (spent_[b] > limit_[b]) out.push_back(b);
  return out;
}

Allocation Assignment::result() const {
  Allocation out;
  out.offsets.assign(1, 0);
  out.offsets.reserve(p_.shoppers + 1);
  out.spent.assign(spent_.size(), 0.0);
  out.given = given_;
  std::vector<std::int32_t> mine;
  for (std::size_t s = 0; s < p_.shoppers; ++s) {
    mine.clear();
    for (std::size_t j = 0; j < places_; ++j)
      if (slot(s, j) >= 0) mine.push_back(slot(s, j));
    std::sort(mine.begin(), mine.end());
    for (const std::int32_t o : mine) {
      out.offers.push_back(o);
      out.value += p_.values[s * p_.offers + static_cast<std::size_t>(o)];
      for (std::size_t b = 0; b < spent_.size(); ++b) out.spent[b] += cost(s, o)[b];
    }
    out.offsets.push_back(static_cast<std::int64_t>(out.offers.size()));
  }
  return out;
}

}  // namespace etalage::marketing
