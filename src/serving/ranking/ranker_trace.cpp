// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "serving/ranking/ranker_impl.hpp"

namespace etalage::serving {

void fill_trace(Trace& trace, const RequestContext& request, const CatalogIndex& catalog, std::span<const SharedSource> sources,
                std::span<const RankedItem> answer, const RankScratch::Impl& s) {
  trace.audit_id = request.audit_id;
  trace.catalog_version = catalog.version();
  trace.placement = request.placement;
  trace.eligible = s.stats.eligible;
  trace.denied = s.denied.size();
  trace.candidates = s.candidates.size();
  trace.produced = s.candidates.produced;
  std::vector<std::uint8_t> shown(s.candidates.size(), 0);
  for (const RankedItem& r : answer) {
    TracedItem t;
    t.item = r.item;
    const std::int32_t c = s.candidates.find(r.item);
    if (c >= 0) {
      const auto at = static_cast<std::size_t>(c);
      shown[at] = 1;
      t.mixed = s.candidates.scores[at];
      if (at < s.relevance.size()) {
        t.relevance = s.relevance[at];
        t.boosted = s.boosted[at];
      }
      for (std::int32_t i = s.candidates.first_mention[at]; i >= 0; i = s.candidates.mentions[static_cast<std::size_t>(i)].next) {
        const CandidateSet::Mention& m = s.candidates.mentions[static_cast<std::size_t>(i)];
        t.parts.push_back({std::string(sources[static_cast<std::size_t>(m.source)]->name()), m.rank, m.score, m.part,
                           s.candidates.from_fallback[at] != 0});
      }
    }
    trace.items.push_back(std::move(t));
  }
  // Boosts of candidates that are not in the answer are of no interest.
  std::erase_if(trace.effects, [&](const RuleEffect& e) {
    const std::int32_t c = s.candidates.find(e.item);
    return (e.what.starts_with("boosted") || e.what.starts_with("buried")) && (c < 0 || shown[static_cast<std::size_t>(c)] == 0);
  });
  for (std::size_t e = 0; e < trace.effects.size(); ++e)
    for (TracedItem& t : trace.items)
      if (t.item == trace.effects[e].item) t.effects.push_back(e);
}

}  // namespace etalage::serving
