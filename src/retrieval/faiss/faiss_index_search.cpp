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

FaissIndex::Impl::Wish FaissIndex::Impl::wish(std::size_t k, const ItemFilter* filter) const {
  Wish w;
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
  return w;
}

bool FaissIndex::Impl::score(std::span<const float> query, std::span<const std::int64_t> labels, const Wish& wish, std::span<Neighbor> out,
                             const ItemFilter* filter, Scratch& scratch, std::size_t& found) const {
  const RowSelector allowed(ids, alive, filter);
  std::vector<std::int64_t> candidates;
  candidates.reserve(labels.size());
  for (const std::int64_t row : labels)
    if (allowed.is_member(row)) candidates.push_back(ids[static_cast<std::size_t>(row)]);
  if (candidates.size() < wish.k) return false;
  const ItemFilter only = ItemFilter::allow(std::span<const std::int64_t>(candidates));
  found = exact->search(query, out, &only, scratch);
  return found >= wish.k;  // a type may name a row twice
}

std::size_t FaissIndex::Impl::answer(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter, Scratch& scratch) const {
  Wish w = wish(out.size(), filter);
  std::size_t found = 0;
  if (w.proposals > 0) (void)exact->search(query, {}, nullptr, scratch);  // checks the query
  std::vector<std::int64_t> labels;
  while (w.proposals > 0 && w.proposals <= ids.size() / 2 + 1) {
    labels.assign(w.proposals, -1);
    const RowSelector selector(ids, alive, filter);
    structure->propose(query.data(), 1, w.proposals, w.selected ? &selector : nullptr, labels.data());
    if (score(query, labels, w, out, filter, scratch, found)) return found;
    // Under a selector, and where it reached fewer rows than were asked for, more of the same finds no more.
    if (w.selected || labels.back() < 0) break;
    w.proposals *= kWidening;
  }
  return exact->search(query, out, filter, scratch);
}

std::size_t FaissIndex::search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter, Scratch& scratch) const {
  const auto section = impl_->reading();
  return impl_->answer(query, out, that_says_something(filter), scratch);
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
    const Impl::Wish w = filters.size() > 1 ? Impl::Wish() : impl_->wish(k, shared);
    std::vector<std::int64_t> labels(w.proposals * (end - begin), -1);
    const RowSelector selector(impl_->ids, impl_->alive, shared);
    if (w.proposals > 0)
      impl_->structure->propose(queries.data() + begin * dim, end - begin, w.proposals, w.selected ? &selector : nullptr, labels.data());
    for (std::size_t i = begin; i < end; ++i) {
      const ItemFilter* filter = filters.size() > 1 ? that_says_something(filters[i]) : shared;
      const auto mine = std::span<const std::int64_t>(labels).subspan((i - begin) * w.proposals, w.proposals);
      if (w.proposals == 0 || !impl_->score(queries.row(i), mine, w, out.row(i), filter, scratch, counts[i]))
        counts[i] = impl_->answer(queries.row(i), out.row(i), filter, scratch);
    }
  });
}

}  // namespace etalage
