// SPDX-License-Identifier: Apache-2.0
#include "models/neighbour/sparse_product.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "kernels/ratio_scan.hpp"
#include "models/row_chunks.hpp"

namespace etalage {
namespace {

constexpr std::size_t kBlock = kernels::kRatioBlock;

/// The best of one row. Sums lie in a dense array whose touched blocks are noted in a byte each: nothing is listed, and
/// what cannot enter the list is left behind 16 at a time.
class RowMaker {
 public:
  RowMaker(const CsrView& left, const CsrView& right, const Ratio& ratio, std::size_t num_kept, std::size_t first)
      : left_(left), right_(right), ratio_(ratio), kept_(num_kept), first_(first), table_(kernels::ratio()) {
    const auto n = static_cast<std::size_t>(right.cols);
    const std::size_t blocks = (n + kBlock - 1) / kBlock;
    sums_.resize(blocks * kBlock, 0.0f);
    touched_.resize((blocks + 7) / 8 * 8, 0);
    keys_.resize(limit() + kBlock);
  }

  /// Keys of row i, columns ascending; their scores are without the scale.
  std::span<const std::uint64_t> row(std::size_t i) {
    const auto middle = left_.row_columns(static_cast<std::int64_t>(i));
    const auto weight = left_.row_values(static_cast<std::int64_t>(i));
    float* const sums = sums_.data();
    std::uint8_t* const touched = touched_.data();
    for (std::size_t p = 0; p < middle.size(); ++p) {
      const auto columns = right_.row_columns(middle[p]);
      const auto values = right_.row_values(middle[p]);
      const float w = weight[p];
      for (std::size_t q = 0; q < columns.size(); ++q) {
        const auto j = static_cast<std::size_t>(columns[q]);
        sums[j] += w * values[q];
        touched[j / kBlock] = 1;
      }
    }
    sums[first_ + i] = 0.0f;
    count_ = 0;
    float threshold = 0;
    for (std::size_t word = 0; word < touched_.size(); word += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, touched + word, sizeof eight);
      if (eight == 0) continue;
      for (std::size_t block = word; block < word + 8; ++block) {
        if (touched[block] == 0) continue;
        touched[block] = 0;
        const std::size_t begin = block * kBlock;
        const kernels::RatioRow of{ratio_.b.data() + begin, ratio_.q.data() + begin, ratio_.a[i], ratio_.p[i], ratio_.t};
        count_ += table_.take(sums + begin, of, threshold, static_cast<std::uint32_t>(begin), keys_.data() + count_);
        if (count_ > limit()) threshold = shrink();
      }
    }
    if (count_ > kept_) shrink();
    return {keys_.data(), count_};
  }

 private:
  [[nodiscard]] std::size_t limit() const noexcept { return 3 * kept_ + 512; }

  /// Leaves the best kept_ in their order; returns the last one's score.
  float shrink() {
    selection_.assign(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(count_));
    std::nth_element(selection_.begin(), selection_.begin() + static_cast<std::ptrdiff_t>(kept_ - 1), selection_.end(), std::greater<>());
    const std::uint64_t last = selection_[kept_ - 1];
    std::size_t to = 0;
    for (std::size_t k = 0; k < count_; ++k) {
      keys_[to] = keys_[k];
      to += keys_[k] >= last;
    }
    count_ = to;
    return kernels::key_score(last);
  }

  CsrView left_, right_;
  const Ratio& ratio_;
  std::size_t kept_;
  std::size_t first_;
  const kernels::RatioTable& table_;
  std::vector<float> sums_;
  std::vector<std::uint8_t> touched_;
  std::vector<std::uint64_t> keys_, selection_;
  std::size_t count_ = 0;
};

}  // namespace

CsrMatrix top_product(const CsrView& left, const CsrView& right, const Ratio& given, std::size_t num_kept, int num_threads,
                      std::size_t first_row) {
  const auto n = static_cast<std::size_t>(left.rows);
  num_kept = std::min(num_kept, std::max<std::size_t>(static_cast<std::size_t>(right.cols), 1));
  Ratio ratio = given;
  const std::size_t padded = (static_cast<std::size_t>(right.cols) + kBlock - 1) / kBlock * kBlock;
  ratio.b.resize(padded, 0.0f);
  ratio.q.resize(padded, 1.0f);
  constexpr std::size_t kGrain = 32;
  std::vector<detail::RowChunk> chunks(detail::num_chunks(n, kGrain));
  std::vector<std::unique_ptr<RowMaker>> makers(static_cast<std::size_t>(detail::resolve_threads(num_threads)));
  detail::parallel_for(n, kGrain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    auto& maker = makers[static_cast<std::size_t>(thread)];
    if (!maker) maker = std::make_unique<RowMaker>(left, right, ratio, num_kept, first_row);
    detail::RowChunk& chunk = chunks[begin / kGrain];
    for (std::size_t i = begin; i < end; ++i) {
      const std::span<const std::uint64_t> keys = maker->row(i);
      for (const std::uint64_t key : keys) {
        chunk.columns.push_back(static_cast<std::int32_t>(kernels::key_index(key)));
        chunk.values.push_back(ratio.scale * kernels::key_score(key));
      }
      chunk.sizes.push_back(static_cast<std::int64_t>(keys.size()));
    }
  });
  return detail::joined(chunks, n, right.cols, num_threads);
}

}  // namespace etalage
