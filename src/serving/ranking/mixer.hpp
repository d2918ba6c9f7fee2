// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/extend/candidate_source.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/serving/mix_options.hpp"

namespace etalage {

/// The union of several sources' candidates with their attribution. Reused between requests.
class ETALAGE_EXPORT CandidateSet {
 public:
  /// What one source said of one candidate.
  struct Mention {
    std::int32_t source = -1;  ///< index into Mixer::sources()
    std::int32_t rank = 0;     ///< from 1
    float score = 0;           ///< the source's own
    float part = 0;            ///< weight times normalised score
    std::int32_t next = -1;    ///< index of this candidate's next mention, -1 ends
  };
  [[nodiscard]] std::size_t size() const noexcept { return items.size(); }
  void clear() noexcept;  ///< forgets candidates, keeps memory
  /// Index of an item, -1 where it is not a candidate.
  [[nodiscard]] std::int32_t find(std::int32_t item) const noexcept;
  /// Index of an item, which is appended with score 0 where it is not there.
  std::int32_t insert(std::int32_t item);
  void mention(std::int32_t candidate, std::int32_t source, std::int32_t rank, float score, float part);

  std::vector<std::int32_t> items;           ///< in order of first mention
  std::vector<float> scores;                 ///< sum of parts
  std::vector<std::uint8_t> from_fallback;   ///< 1 where only fallback sources named it
  std::vector<std::int32_t> first_mention;   ///< -1 where there is none
  std::vector<Mention> mentions;  ///< [mentions] of all candidates, see mentions_of
  std::vector<std::int32_t> produced;        ///< by source, how many it named for this request
  std::vector<std::int32_t> failed;          ///< by source, how often it threw; where failing sources are skipped
  std::vector<ItemScore> buffer;             ///< what a source writes to

 private:
  void grow();
  [[nodiscard]] std::size_t slot(std::int32_t item) const noexcept;
  std::vector<std::int32_t> slots_;  // open addressing over items: index + 1, 0 is free
};

/// Asks the sources of a placement and joins what they say: score = sum over sources of weight x normalised score.
/// Candidates of fallback sources rank behind all others, in the order in which they were named.
///
/// Threads    const members are safe to call concurrently
/// Errors     std::invalid_argument: a slot that names no source, two sources of one name
class ETALAGE_EXPORT Mixer {
 public:
  /// skip_failing: a source that throws names nothing, and is counted in CandidateSet::failed. std::invalid_argument, the
  /// caller's mistake, and std::bad_alloc always pass.
  Mixer(std::vector<SharedSource> sources, MixOptions options, bool skip_failing = false);
  [[nodiscard]] std::span<const SharedSource> sources() const noexcept { return sources_; }
  [[nodiscard]] const MixOptions& options() const noexcept { return options_; }
  /// Fills `out`; fallback sources are asked while there are fewer than `wanted`. No allocation once warm.
  void mix(const SourceQuery& query, std::size_t wanted, CandidateSet& out, Scratch& scratch) const;
  /// Asks the fallback sources, with `all` the placement's others before them, until there are `wanted` more candidates
  /// than now, each for at least `limit`; appends them as fallback candidates.
  void refill(const SourceQuery& query, std::size_t wanted, std::size_t limit, bool all, CandidateSet& out, Scratch& scratch) const;

 private:
  struct Slot {
    std::int32_t source;
    std::size_t quota;
    float weight;
  };
  struct Plan {
    std::vector<Slot> slots;
    std::vector<std::int32_t> fallback;
    Normalization normalization = Normalization::kRank;
  };
  std::size_t ask(std::int32_t source, const SourceQuery& query, std::span<ItemScore> buffer, CandidateSet& out, Scratch& scratch) const;
  std::vector<SharedSource> sources_;
  MixOptions options_;
  bool skip_failing_;
  std::vector<Plan> plans_;  // one a placement
};

}  // namespace etalage
