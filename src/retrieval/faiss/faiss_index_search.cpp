// SPDX-License-Identifier: Apache-2.0
#include <faiss/impl/IDSelector.h>

#include <algorithm>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/scratch.hpp"
#include "retrieval/faiss/faiss_index_impl.hpp"

namespace etalage {
namespace {

constexpr std::size_t kFewAllowed = 1024;  // read at once rather than looked for
constexpr std::size_t kTogether = 16;      // queries that FAISS answers in one call; from 20 on it asks a BLAS, which has threads of its own
constexpr std::size_t kWidening = 4;

/// Rows that are alive and allowed, as FAISS asks for them.
class RowSelector final : public faiss::IDSelector {
 public:
  RowSelector(std::span<const std::int64_t> ids, std::span<const std::uint8_t> alive, const ItemFilter* filter) : ids_(ids), alive_(alive), filter_(filter) {}
  bool is_member(std::int64_t row) const override {
    const auto r = static_cast<std::size_t>(row);
    return row >= 0 && r < ids_.size() && alive_[r] != 0 && (filter_ == nullptr || filter_->allows(ids_[r]));
  }

 private:
  std::span<const std::int64_t> ids_;
  std::span<const std::uint8_t> alive_;
  const ItemFilter* filter_;
};

const ItemFilter* that_says_something(const ItemFilter* filter) { return filter != nullptr && filter->allows_everything() ? nullptr : filter; }

}  // namespace

FaissIndex::Impl::Request FaissIndex::Impl::request(std::size_t k, const ItemFilter* filter) const {
  Request w;
  const std::size_t live = exact->size();
  const std::size_t rows = ids.size();
  const std::size_t most = filter != nullptr && filter->has_allow_list() ? std::min(live, filter->num_allowed_ids()) : live;
  w.k = std::min(k, most);
  if (!built || w.k == 0 || (filter != nullptr && most <= kFewAllowed) || w.k >= rows / 2) return w;
  const std::size_t wanted = keeps_vectors ? std::min(rows, w.k + w.k / 4 + 8) : std::min(rows, w.k * static_cast<std::size_t>(options.rescore_factor));
  if (filter == nullptr && dead == 0) {
    w.proposals = wanted;
  } else if (structure->takes_selector()) {
    w.proposals = wanted;
    w.selected = true;
  } else {
    const std::size_t denied = filter == nullptr ? 0 : std::min(most, filter->denied_ids().size());
    const double share = static_cast<double>(std::max<std::size_t>(most - denied, 1)) / static_cast<double>(rows);
    const double wider = 1.2 * static_cast<double>(wanted) / share + 16;
    if (wider < static_cast<double>(rows / 2)) w.proposals = static_cast<std::size_t>(wider);
  }
  if (w.proposals > most_proposals()) w.proposals = 0;
  return w;
}

bool FaissIndex::Impl::score(std::span<const float> query, std::span<const std::int64_t> labels, const Request& request, std::span<Neighbor> out,
                             const ItemFilter* filter, Scratch& scratch, std::size_t& found) const {
  const RowSelector allowed(ids, alive, filter);
  std::vector<std::int64_t> candidates;
  candidates.reserve(labels.size());
  for (const std::int64_t row : labels)
    if (allowed.is_member(row)) candidates.push_back(ids[static_cast<std::size_t>(row)]);
  if (candidates.size() < request.k) return false;
  const ItemFilter only = ItemFilter::allow(std::span<const std::int64_t>(candidates));
  found = exact->search(query, out, &only, scratch);
  return found >= request.k;  // a type may name a row twice
}

std::size_t FaissIndex::Impl::answer(std::span<const float> query, Request r, std::span<const std::int64_t> proposed, std::span<Neighbor> out,
                                     const ItemFilter* filter, Scratch& scratch) const {
  std::size_t found = 0;
  std::vector<std::int64_t> labels;
  while (r.proposals > 0) {
    if (proposed.empty()) {
      labels.assign(r.proposals, -1);
      const RowSelector selector(ids, alive, filter);
      structure->propose(query.data(), 1, r.proposals, r.selected ? &selector : nullptr, labels.data());
      proposed = labels;
    }
    if (score(query, proposed, r, out, filter, scratch, found)) return found;
    // Under a selector, and where it reached fewer rows than were asked for, more of the same finds no more.
    if (r.selected || proposed.back() < 0) break;
    r.proposals = r.proposals * kWidening <= most_proposals() ? r.proposals * kWidening : 0;
    proposed = {};
  }
  return exact->search(query, out, filter, scratch);
}

std::size_t FaissIndex::search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter, Scratch& scratch) const {
  const auto section = impl_->reading();
  const ItemFilter* rule = that_says_something(filter);
  const Impl::Request request = impl_->request(out.size(), rule);
  if (request.proposals > 0) (void)impl_->exact->search(query, {}, nullptr, scratch);  // checks the query
  return impl_->answer(query, request, {}, out, rule, scratch);
}

void FaissIndex::search_batch(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                              std::span<const ItemFilter* const> filters, int num_threads) const {
  const std::size_t n = queries.rows();
  {
    const auto section = impl_->reading();
    if (!impl_->built) return impl_->exact->search_batch(queries, out, counts, filters, num_threads);
  }
  if (n > 0) impl_->exact->search_batch(queries, {out.data(), out.rows(), 0}, counts, filters, 1);  // checks the arguments
  const std::size_t k = out.cols();
  const std::size_t dim = queries.cols();
  std::vector<Scratch> scratches(static_cast<std::size_t>(detail::resolve_threads(num_threads)));
  detail::parallel_for(n, kTogether, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    Scratch& scratch = scratches[static_cast<std::size_t>(thread)];
    const auto section = impl_->reading();
    const ItemFilter* shared = filters.size() == 1 ? that_says_something(filters[0]) : nullptr;
    const Impl::Request w = filters.size() > 1 ? Impl::Request() : impl_->request(k, shared);
    std::vector<std::int64_t> labels(w.proposals * (end - begin), -1);
    const RowSelector selector(impl_->ids, impl_->alive, shared);
    if (w.proposals > 0)
      impl_->structure->propose(queries.data() + begin * dim, end - begin, w.proposals, w.selected ? &selector : nullptr, labels.data());
    for (std::size_t i = begin; i < end; ++i) {
      const ItemFilter* filter = filters.size() > 1 ? that_says_something(filters[i]) : shared;
      const auto mine = std::span<const std::int64_t>(labels).subspan((i - begin) * w.proposals, w.proposals);
      counts[i] = impl_->answer(queries.row(i), filters.size() > 1 ? impl_->request(k, filter) : w, mine, out.row(i), filter, scratch);
    }
  });
}

}  // namespace etalage
