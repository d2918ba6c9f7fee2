// SPDX-License-Identifier: Apache-2.0
#include "retrieval/lists/ivf_pq.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "detail/parallel_for.hpp"
#include "kernels/rank_key.hpp"
#include "kernels/scan_kernels.hpp"
#include "retrieval/lists/kmeans.hpp"
#include "retrieval/lists/list_reach.hpp"
#include "search/below_best.hpp"

namespace etalage::retrieval {
namespace {

constexpr int kIterations = 8;
constexpr std::size_t kListSample = 64;   // training rows for each list
constexpr std::size_t kCodeSample = 128;  // training rows for each centroid of a code
constexpr float kReach = 1.25f;           // deviations above a list's mean at which its best rows are expected
constexpr double kMostReach = 64;
constexpr std::size_t kReachSample = 65536;  // rows among which neighbours are looked for that tell the same of rows of length 1

std::size_t parts_of(std::size_t dim, int pq_m) {
  if (pq_m > 0) return static_cast<std::size_t>(pq_m);
  // About four dimensions a byte: the largest divisor of dim that is not above dim / 4.
  std::size_t m = std::max<std::size_t>(dim / 4, 1);
  while (dim % m != 0) --m;
  return m;
}

std::size_t lists_for(std::size_t rows, int nlist) {
  if (nlist > 0) return static_cast<std::size_t>(nlist);
  return std::max<std::size_t>(16, static_cast<std::size_t>(std::sqrt(static_cast<double>(rows))));
}

/// Numbers of at most `most` live rows, ascending.
std::vector<std::size_t> sample_rows(const ItemStore& store, std::size_t most, std::uint64_t seed) {
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < store.rows; ++r)
    if (store.is_alive(r)) rows.push_back(r);
  if (rows.size() <= most) return rows;
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < most; ++i) std::swap(rows[i], rows[i + random() % (rows.size() - i)]);
  rows.resize(most);
  std::sort(rows.begin(), rows.end());
  return rows;
}

/// Something that probably more than `count` of n values are above, and not many more.
float below_sampled(const float* values, std::size_t n, std::size_t count) {
  constexpr std::size_t kSample = 256;
  constexpr float kAll = -std::numeric_limits<float>::infinity();
  if (n < 2 * kSample) return kAll;
  std::array<float, kSample> sample;
  for (std::size_t i = 0; i < kSample; ++i) sample[i] = values[i * n / kSample];
  const double share = static_cast<double>(count) / static_cast<double>(n);
  const double expected = share * kSample;
  const auto rank = static_cast<std::size_t>(expected + 3 * std::sqrt(expected * (1 - share)) + 1);
  if (rank >= kSample) return kAll;
  // Halved towards the rank.
  float low = *std::min_element(sample.begin(), sample.end());
  float high = *std::max_element(sample.begin(), sample.end());
  if (!(low > kAll) || !(high < std::numeric_limits<float>::infinity())) return kAll;
  low = std::nextafter(low, kAll);
  for (int step = 0; step < 12; ++step) {
    const float middle = low + (high - low) / 2;
    std::int32_t above = 0;
    for (const float value : sample) above += value > middle ? 1 : 0;
    if (above >= static_cast<std::int32_t>(rank)) low = middle;
    else high = middle;
    if (above >= static_cast<std::int32_t>(rank) && above <= static_cast<std::int32_t>(rank + 3)) break;
  }
  return low;
}

void residual(const float* x, const Array<float>& centroids, std::size_t nlist, std::size_t list, std::size_t dim, float* out) {
  for (std::size_t f = 0; f < dim; ++f) out[f] = x[f] - centroids[f * nlist + list];
}

}  // namespace

bool IvfPq::trainable(std::size_t rows, const ItemIndexOptions& options, bool quantise) noexcept {
  return rows >= std::max(30 * lists_for(rows, options.nlist), quantise ? std::size_t{10} << options.pq_bits : 0);
}

std::shared_ptr<IvfPq> IvfPq::train(const ItemStore& store, IndexMetric metric, const ItemIndexOptions& options, bool quantise,
                                    int num_threads, std::vector<std::int32_t>* sorted) {
  const std::size_t dim = store.dim;
  const std::size_t ksub = quantise ? std::size_t{1} << options.pq_bits : 0;
  const std::size_t nlist = lists_for(store.live, options.nlist);
  if (!trainable(store.live, options, quantise)) return nullptr;
  std::shared_ptr<IvfPq> out(new IvfPq);
  out->dim_ = dim;
  out->nlist_ = nlist;
  out->m_ = quantise ? parts_of(dim, options.pq_m) : 0;
  out->ksub_ = ksub;
  out->trained_on_ = store.live;

  if (metric == IndexMetric::kDot && !quantise) {
    out->tiers_ = NormTiers::train(store, nlist, options.seed, num_threads);
    out->nlist_ = out->tiers_->num_lists();
  } else {
    const auto rows = sample_rows(store, std::max(kListSample * nlist, kCodeSample * ksub), options.seed);
    std::vector<float> data(rows.size() * dim);
    for (std::size_t i = 0; i < rows.size(); ++i) std::memcpy(&data[i * dim], store.vector(rows[i]), dim * sizeof(float));
    Centroids lists = kmeans(data, rows.size(), dim, nlist, kIterations, options.seed, num_threads);
    out->centroids_ = Array<float>(lists.columns);
    out->half_norms_ = Array<float>(lists.half_norms);
    if (quantise) out->train_codes(data, options, num_threads);
  }

  // Rows of a list lie together: that is what a search reads.
  const Encoded all = out->encode(
      store.rows, [&](std::size_t begin, std::size_t, std::vector<float>&) { return store.vector(begin); }, store.norms2.data(), num_threads);
  std::vector<std::int64_t> offsets(out->nlist_ + 1, 0);
  for (std::size_t r = 0; r < store.rows; ++r)
    if (store.is_alive(r)) ++offsets[all.lists[r] + 1];
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  out->offsets_ = Array<std::int64_t>(offsets);
  std::vector<std::int32_t> rows(store.live);
  out->codes_ = Array<std::uint8_t>(store.live * out->m_, uninitialized);
  std::uint8_t* to_codes = out->codes_.mutable_data();
  for (std::size_t r = 0; r < store.rows; ++r) {
    if (!store.is_alive(r)) continue;
    const auto at = static_cast<std::size_t>(offsets[all.lists[r]]++);
    rows[at] = static_cast<std::int32_t>(r);
    std::copy_n(all.codes.data() + r * out->m_, out->m_, to_codes + at * out->m_);
  }
  out->rows_ = Array<std::int32_t>(rows);
  out->tails_.resize(out->nlist_);
  if (out->tiered() || (metric == IndexMetric::kCosine && !quantise)) out->measure_lists(store, num_threads);
  if (metric == IndexMetric::kCosine) {
    const std::vector<std::size_t> sample = sample_rows(store, kReachSample, options.seed + 1);
    out->set_reach(learn_reach(store, sample, {out->centroids_.data(), out->half_norms_.data(), out->offsets_.view(), all.lists}, num_threads));
  }
  if (sorted != nullptr) {
    out->sorted_ = true;
    *sorted = std::move(rows);
  }
  return out;
}

void IvfPq::measure_lists(const ItemStore& store, int num_threads) {
  // A list without rows keeps the centroid that it was trained to.
  if (centroids_.empty()) centroids_ = Array<float>(dim_ * nlist_);
  if (half_norms_.empty()) half_norms_ = Array<float>(nlist_);
  if (tiered()) spreads_ = Array<float>(nlist_);
  float* means = centroids_.mutable_data();
  float* half_norms = half_norms_.mutable_data();
  float* spreads = tiered() ? spreads_.mutable_data() : nullptr;
  detail::parallel_for(nlist_, 1, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<double> mean(dim_);
    for (std::size_t list = begin; list < end; ++list) {
      const auto first = static_cast<std::size_t>(offsets_[list]);
      const auto last = static_cast<std::size_t>(offsets_[list + 1]);
      if (first == last) continue;
      const auto count = static_cast<double>(last - first);
      std::fill(mean.begin(), mean.end(), 0.0);
      double square = 0;
      for (std::size_t i = first; i < last; ++i) {
        const auto row = static_cast<std::size_t>(rows_[i]);
        for (std::size_t f = 0; f < dim_; ++f) mean[f] += static_cast<double>(store.vector(row)[f]);
        if (spreads != nullptr) square += static_cast<double>(store.norms2[row]);  // others may have none
      }
      double norm2 = 0;
      for (std::size_t f = 0; f < dim_; ++f) {
        mean[f] /= count;
        means[f * nlist_ + list] = static_cast<float>(mean[f]);
        norm2 += mean[f] * mean[f];
      }
      half_norms[list] = static_cast<float>(norm2 / 2);
      if (spreads != nullptr) spreads[list] = static_cast<float>(std::sqrt(std::max(square / count - norm2, 0.0) / static_cast<double>(dim_)));
    }
  });
}

void IvfPq::set_reach(float reach) {
  reach_ = reach;
  reaches_.resize(reach > 0 ? nlist_ : 0);
  for (std::size_t list = 0; list < reaches_.size(); ++list) reaches_[list] = reach * unit_deviation(half_norms_[list], dim_);
}

void IvfPq::train_codes(const std::vector<float>& data, const ItemIndexOptions& options, int num_threads) {
  const std::size_t sub = dim_ / m_;
  const std::size_t rows = data.size() / dim_;
  // Residuals of a smaller sample; every n-th keeps them spread over the rows.
  const std::size_t step = std::max<std::size_t>(1, rows / (kCodeSample * ksub_));
  const std::size_t count = (rows + step - 1) / step;
  std::vector<float> residuals(count * dim_);
  detail::parallel_for(count, 256, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> scores(nlist_);
    for (std::size_t i = begin; i < end; ++i) {
      const float* x = &data[i * step * dim_];
      const std::size_t list = nearest_centroid(x, dim_, centroids_.data(), half_norms_.data(), nlist_, scores.data());
      residual(x, centroids_, nlist_, list, dim_, &residuals[i * dim_]);
    }
  });
  std::vector<float> codebook;
  std::vector<float> half_norms;
  std::vector<float> slice(count * sub);
  for (std::size_t part = 0; part < m_; ++part) {
    for (std::size_t i = 0; i < count; ++i)
      std::memcpy(&slice[i * sub], &residuals[i * dim_ + part * sub], sub * sizeof(float));
    const Centroids c = kmeans(slice, count, sub, ksub_, kIterations, options.seed + part + 1, num_threads);
    codebook.insert(codebook.end(), c.columns.begin(), c.columns.end());
    half_norms.insert(half_norms.end(), c.half_norms.begin(), c.half_norms.end());
  }
  codebook_ = Array<float>(codebook);
  code_half_norms_ = Array<float>(half_norms);
}

IvfPq::Encoded IvfPq::encode(std::size_t count, const RowsAt& rows_at, const float* norms2, int num_threads) const {
  Encoded out;
  out.lists.resize(count);
  out.codes.resize(count * m_);
  const std::size_t sub = m_ == 0 ? 0 : dim_ / m_;
  detail::parallel_for(count, 24 * kNearestBlock, num_threads, [&](std::size_t b, std::size_t e, int) {
    std::vector<float> scores(std::max(kNearestBlock * nlist_, ksub_));
    std::vector<float> rest(dim_);
    std::vector<float> memory;
    const float* rows = rows_at(b, e, memory);
    if (!tiered())
      nearest_centroids(rows, e - b, dim_, centroids_.data(), half_norms_.data(), nlist_, scores.data(), &out.lists[b]);
    for (std::size_t i = b; i < e; ++i) {
      const float* x = rows + (i - b) * dim_;
      if (tiered()) out.lists[i] = static_cast<std::uint32_t>(tiers_->list_of(x, norms2[i], scores.data()));
      if (m_ == 0) continue;
      residual(x, centroids_, nlist_, out.lists[i], dim_, rest.data());
      for (std::size_t part = 0; part < m_; ++part)
        out.codes[i * m_ + part] = static_cast<std::uint8_t>(
            nearest_centroid(&rest[part * sub], sub, codebook_.data() + part * sub * ksub_,
                             code_half_norms_.data() + part * ksub_, ksub_, scores.data()));
    }
  });
  return out;
}

void IvfPq::append(const Encoded& encoded, std::size_t i, std::int32_t row) {
  Tail& tail = tails_[encoded.lists[i]];
  tail.rows.push_back(row);
  const auto code = encoded.codes.begin() + static_cast<std::ptrdiff_t>(i * m_);
  tail.codes.insert(tail.codes.end(), code, code + static_cast<std::ptrdiff_t>(m_));
}

// What a list's best rows may reach ranks lists of inner products and cosines: the mean's product and some deviations of the rows
// around it. Without a reach: the mean's product for lists of codes and dot, and else the nearest centroid.
void IvfPq::rate(IndexMetric metric, const float* query, const float* dots, float* ranks) const {
  if (tiered()) {
    float norm2 = 0;
    for (std::size_t f = 0; f < dim_; ++f) norm2 += query[f] * query[f];
    const float reach = kReach * std::sqrt(norm2);
    for (std::size_t list = 0; list < nlist_; ++list) ranks[list] = dots[list] + reach * spreads_[list];
  } else if (reach_ > 0) {
    for (std::size_t list = 0; list < nlist_; ++list) ranks[list] = dots[list] + reaches_[list];
  } else {
    const float weight = metric == IndexMetric::kDot ? 0.0f : 1.0f;
    for (std::size_t list = 0; list < nlist_; ++list) ranks[list] = dots[list] - weight * half_norms_[list];
  }
}

std::size_t IvfPq::gather_best(const float* ranks, std::size_t count, SearchScratch& scratch) const {
  std::uint64_t* keys = Scratch::Impl::at_least(scratch.keys, nlist_);
  if (count > search::kBestColumns / 2) {
    // What the best are above, by a sample and with three deviations to spare.
    const std::size_t found = kernels::scan().collect(ranks, nlist_, 0, below_sampled(ranks, nlist_, count), keys);
    return found >= count ? found : kernels::scan().collect(ranks, nlist_, 0, -std::numeric_limits<float>::infinity(), keys);
  }
  return kernels::scan().collect(ranks, nlist_, 0, search::below_best(ranks, nlist_, count), keys);
}

void IvfPq::choose(const float* ranks, std::size_t count, SearchScratch& scratch) const {
  const std::size_t found = gather_best(ranks, count, scratch);
  const std::size_t n = std::min(count, found);
  std::uint64_t* keys = scratch.keys.data();
  std::partial_sort(keys, keys + n, keys + found, std::greater<>());
  std::int32_t* lists = Scratch::Impl::at_least(scratch.lists, nlist_);
  for (std::size_t i = 0; i < n; ++i) lists[i] = static_cast<std::int32_t>(kernels::key_index(keys[i]));
  // Ranks that are no numbers: those lists come last.
  std::size_t at = n;
  for (std::size_t list = 0; list < nlist_ && at < count; ++list)
    if (std::find(lists, lists + n, static_cast<std::int32_t>(list)) == lists + n) lists[at++] = static_cast<std::int32_t>(list);
}

void IvfPq::rank_lists(IndexMetric metric, const float* query, SearchScratch& scratch) const {
  float* dots = Scratch::Impl::at_least(scratch.list_scores, nlist_);
  kernels::row_scores().dot_columns(query, centroids_.data(), dim_, nlist_, dots);
  rate(metric, query, dots, Scratch::Impl::at_least(scratch.list_ranks, nlist_));
}

std::size_t IvfPq::memory_bytes() const noexcept {
  std::size_t bytes = (centroids_.size() + half_norms_.size() + reaches_.capacity() + codebook_.size() + code_half_norms_.size()) * sizeof(float) +
                      offsets_.size() * sizeof(std::int64_t) + rows_.size() * sizeof(std::int32_t) + codes_.size() +
                      tails_.capacity() * sizeof(Tail) + spreads_.size() * sizeof(float) + (tiers_ ? tiers_->memory_bytes() : 0);
  for (const Tail& t : tails_) bytes += t.rows.capacity() * sizeof(std::int32_t) + t.codes.capacity();
  return bytes;
}

void IvfPq::save(StateWriter& writer, const ItemStore& store) const {
  writer.put_int("ivf/nlist", static_cast<std::int64_t>(nlist_));
  writer.put_int("ivf/m", static_cast<std::int64_t>(m_));
  writer.put_int("ivf/trained_on", static_cast<std::int64_t>(trained_on_));
  writer.put_array("ivf/centroids", centroids_);
  writer.put_array("ivf/half_norms", half_norms_);
  if (reach_ > 0) writer.put_double("ivf/reach", static_cast<double>(reach_));
  if (tiers_) {
    writer.put_array("ivf/spreads", spreads_);
    tiers_->save(writer);
  }
  writer.put_array("ivf/codebook", codebook_);
  writer.put_array("ivf/code_half_norms", code_half_norms_);
  if (sorted_) {
    std::vector<std::int64_t> ends;
    std::vector<std::int32_t> appended;
    for (const Tail& t : tails_) {
      appended.insert(appended.end(), t.rows.begin(), t.rows.end());
      ends.push_back(static_cast<std::int64_t>(appended.size()));
    }
    writer.put_array("ivf/offsets", offsets_);
    Array<std::int32_t> places = rows_;
    if (places.empty()) {
      places = Array<std::int32_t>(sorted_rows(), uninitialized);
      for (std::size_t r = 0; std::int32_t& place : places.mutable_view()) place = static_cast<std::int32_t>(store.id(r++));
    }
    writer.put_array("ivf/order", places);
    writer.put_array("ivf/appended_ends", Array<std::int64_t>(ends));
    writer.put_array("ivf/appended", Array<std::int32_t>(appended));
    return;
  }
  // Lists and what was appended to them become one.
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> rows;
  std::vector<std::uint8_t> codes;
  for (std::size_t list = 0; list < nlist_; ++list) {
    const auto begin = offsets_[list];
    const auto end = offsets_[list + 1];
    rows.insert(rows.end(), rows_.data() + begin, rows_.data() + end);
    codes.insert(codes.end(), codes_.data() + begin * static_cast<std::int64_t>(m_), codes_.data() + end * static_cast<std::int64_t>(m_));
    rows.insert(rows.end(), tails_[list].rows.begin(), tails_[list].rows.end());
    codes.insert(codes.end(), tails_[list].codes.begin(), tails_[list].codes.end());
    offsets.push_back(static_cast<std::int64_t>(rows.size()));
  }
  writer.put_array("ivf/offsets", Array<std::int64_t>(offsets));
  writer.put_array("ivf/rows", Array<std::int32_t>(rows));
  writer.put_array("ivf/codes", Array<std::uint8_t>(codes));
}

void IvfPq::load_appended(const StateReader& reader, std::int64_t rows) {
  const auto ends = reader.get_array<std::int64_t>("ivf/appended_ends", nlist_);
  const auto appended = reader.get_array<std::int32_t>("ivf/appended");
  // Few, and copied here: looked at whatever was asked for.
  std::int64_t begin = 0;
  for (std::size_t list = 0; list < nlist_; begin = ends[list++]) {
    if (ends[list] < begin || ends[list] > static_cast<std::int64_t>(appended.size()))
      reader.fail("ivf/appended_ends", "found a falling offset at list " + std::to_string(list));
    tails_[list].rows.assign(appended.data() + begin, appended.data() + ends[list]);
  }
  if (begin != static_cast<std::int64_t>(appended.size())) reader.fail("ivf/appended_ends", "found offsets that do not span the rows");
  for (const std::int32_t row : appended)
    if (row < 0 || row >= rows) reader.fail("ivf/appended", "found row " + std::to_string(row) + ", expected a value in [0, " + std::to_string(rows) + ")");
}

IvfPq::IvfPq(const StateReader& reader, const ItemIndexOptions& options, bool quantised, std::size_t dim,
             std::size_t store_rows) {
  dim_ = dim;
  ksub_ = quantised ? std::size_t{1} << options.pq_bits : 0;
  const auto n = static_cast<std::int64_t>(store_rows);
  nlist_ = static_cast<std::size_t>(reader.get_int("ivf/nlist", 1, n));
  m_ = static_cast<std::size_t>(reader.get_int("ivf/m", quantised ? 1 : 0, quantised ? static_cast<std::int64_t>(dim) : 0));
  if (quantised && dim_ % m_ != 0) reader.fail("ivf/m", "found " + std::to_string(m_) + ", expected a divisor of " + std::to_string(dim_));
  trained_on_ = static_cast<std::size_t>(reader.get_int("ivf/trained_on", 0, std::int64_t{1} << 31));
  centroids_ = reader.get_array<float>("ivf/centroids", dim_ * nlist_);
  half_norms_ = reader.get_array<float>("ivf/half_norms", nlist_);
  if (reader.has("ivf/spreads")) {  // of inner products
    spreads_ = reader.get_array<float>("ivf/spreads", nlist_);
    tiers_ = std::make_shared<const NormTiers>(reader, dim_, nlist_);
    if (quantised) reader.fail("ivf/spreads", "found tiers of lists in an index with codes");
  }
  codebook_ = reader.get_array<float>("ivf/codebook", dim_ * ksub_);
  code_half_norms_ = reader.get_array<float>("ivf/code_half_norms", m_ * ksub_);
  offsets_ = reader.get_array<std::int64_t>("ivf/offsets", nlist_ + 1);
  sorted_ = !quantised;
  const char* rows_name = sorted_ ? "ivf/order" : "ivf/rows";
  rows_ = reader.get_array<std::int32_t>(rows_name);
  tails_.resize(nlist_);
  if (sorted_) load_appended(reader, n);
  else codes_ = reader.get_array<std::uint8_t>("ivf/codes", rows_.size() * m_);
  if (offsets_[0] != 0 || offsets_.back() != static_cast<std::int64_t>(rows_.size()))
    reader.fail("ivf/offsets", "found offsets that do not span the rows");
  if (sorted_ && rows_.size() > store_rows) reader.fail(rows_name, "found an order of other rows");
  if (reader.has("ivf/reach")) {  // of cosines
    const double reach = reader.get_double("ivf/reach");
    if (!(reach > 0 && reach <= kMostReach)) reader.fail("ivf/reach", "found " + std::to_string(reach) + ", expected a value in (0, 64]");
    if (tiered()) reader.fail("ivf/reach", "found it beside tiers of lists");
    set_reach(static_cast<float>(reach));
  }
  if (!reader.verify()) return;
  for (const auto& [name, values] : {std::pair("ivf/centroids", &centroids_), std::pair("ivf/half_norms", &half_norms_), std::pair("ivf/spreads", &spreads_),
                                     std::pair("ivf/codebook", &codebook_), std::pair("ivf/code_half_norms", &code_half_norms_)})
    if (!std::all_of(values->data(), values->data() + values->size(), [](float x) { return std::isfinite(x); }))
      reader.fail(name, "found a value that is not finite");
  for (std::size_t list = 0; list < nlist_; ++list)
    if (offsets_[list] > offsets_[list + 1]) reader.fail("ivf/offsets", "found a falling offset at list " + std::to_string(list));
  for (const std::int32_t row : rows_)
    if (row < 0 || row >= n) reader.fail(rows_name, "found row " + std::to_string(row) + ", expected a value in [0, " + std::to_string(n) + ")");
  if (sorted_) {
    std::vector<bool> seen(rows_.size());
    for (const std::int32_t place : rows_) {
      if (static_cast<std::size_t>(place) >= seen.size() || seen[static_cast<std::size_t>(place)])
        reader.fail(rows_name, "found place " + std::to_string(place) + " twice or out of range");
      seen[static_cast<std::size_t>(place)] = true;
    }
  }
  for (std::size_t i = 0; i < codes_.size() && ksub_ < 256; ++i)
    if (codes_[i] >= ksub_) reader.fail("ivf/codes", "found code " + std::to_string(codes_[i]) + ", expected less than " + std::to_string(ksub_));
}

}  // namespace etalage::retrieval
