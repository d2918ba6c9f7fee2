// SPDX-License-Identifier: Apache-2.0
#include "models/pairwise/block_schedule.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <memory>
#include <numbers>
#include <numeric>
#include <thread>
#include <utility>

#include "detail/parallel_for.hpp"

namespace etalage::detail {
namespace {

constexpr std::uint64_t kRowOrder = 3;
constexpr std::uint64_t kColumnOrder = 4;
constexpr std::uint64_t kPairOrder = 5;
constexpr std::uint64_t kDraws = 6;
constexpr std::uint64_t kCopies = 8;

constexpr std::size_t kMostBlocks = 32;
constexpr std::size_t kBlockRows = 256;  // a smaller block would be too small a sample of the other side

std::size_t begin_of(std::size_t block, std::size_t n, std::size_t blocks) noexcept { return block * n / blocks; }

template <class T>
void shuffle(T* values, std::size_t n, RandomStream& random) noexcept {
  for (std::size_t i = n; i > 1; --i) std::swap(values[i - 1], values[random.below(static_cast<std::uint32_t>(i))]);
}

}  // namespace

std::vector<std::int32_t> random_order(std::size_t n, RandomStream random) {
  std::vector<std::int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  shuffle(order.data(), n, random);
  return order;
}

float bell(RandomStream& random) noexcept {
  const std::uint64_t bits = random.next();
  const std::uint64_t sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
  return (static_cast<float>(sum) - 2 * 65535.0f) * (std::numbers::sqrt3_v<float> / 65536.0f);
}

// e^x as 2^n 2^f with f in [-1/2, 1/2] and the Taylor polynomial of 2^f, whose error there is below 2e-7.
float logistic_slope(float x) noexcept {
  if (x > 80) return 0;
  if (x < -80) return 1;
  const float t = x * std::numbers::log2e_v<float>;
  const int whole = static_cast<int>(t + (t < 0 ? -0.5f : 0.5f));
  const float f = (t - static_cast<float>(whole)) * std::numbers::ln2_v<float>;
  const float power =
      1 + f * (1 + f * (1.0f / 2 + f * (1.0f / 6 + f * (1.0f / 24 + f * (1.0f / 120 + f * (1.0f / 720))))));
  const float scale = std::bit_cast<float>(static_cast<std::uint32_t>(whole + 127) << 23);
  return 1 / (1 + power * scale);
}

double logistic_loss(float x) noexcept {
  return std::log1p(std::exp(-std::abs(static_cast<double>(x)))) + (x < 0 ? -static_cast<double>(x) : 0.0);
}

BlockSchedule::BlockSchedule(CsrView entries, std::uint64_t seed, int num_threads)
    : entries_(entries), seed_(seed), num_threads_(num_threads) {
  const auto rows = static_cast<std::size_t>(entries.rows);
  const auto columns = static_cast<std::size_t>(entries.cols);
  blocks_ = std::clamp<std::size_t>(std::min(rows, columns) / kBlockRows, 1, kMostBlocks);
  row_order_ = random_order(rows, RandomStream(seed, kRowOrder, 0));
  column_block_.resize(columns);
  begin_.resize(blocks_ * blocks_ + 1);
  losses_.resize(blocks_ * blocks_);
}

std::span<const std::int32_t> BlockSchedule::columns_of(std::size_t block) const noexcept {
  const std::size_t begin = begin_of(block, column_order_.size(), blocks_);
  return {column_order_.data() + begin, begin_of(block + 1, column_order_.size(), blocks_) - begin};
}

RandomStream BlockSchedule::stream(int epoch, std::size_t row_block, std::size_t column_block) const noexcept {
  return {seed_, kDraws, (static_cast<std::uint64_t>(epoch) * blocks_ + row_block) * blocks_ + column_block};
}

// Cuts the columns into new blocks and sorts the pairs by row block and column block, in random order within.
void BlockSchedule::arrange(std::uint64_t epoch) {
  column_order_ = random_order(column_block_.size(), RandomStream(seed_, kColumnOrder, epoch));
  for (std::size_t b = 0; b < blocks_; ++b)
    for (const std::int32_t c : columns_of(b)) column_block_[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(b);
  const std::size_t num_rows = row_order_.size();
  // visit(row, column) for every pair of a row block; copies of an entry are drawn the same way each time.
  const auto each_pair = [&](std::size_t b, const auto& visit) {
    RandomStream random(seed_, kCopies, epoch * blocks_ + b);
    for (std::size_t p = begin_of(b, num_rows, blocks_); p < begin_of(b + 1, num_rows, blocks_); ++p) {
      const std::int32_t row = row_order_[p];
      const auto columns = entries_.row_columns(row);
      for (std::size_t k = 0; k < columns.size(); ++k) {
        int copies = 1;
        if (!entries_.values.empty())
          copies = static_cast<int>(entries_.row_values(row)[k] + static_cast<float>(random.next() >> 40) * 0x1p-24f);
        for (; copies > 0; --copies) visit(row, columns[k]);
      }
    }
  };
  std::vector<std::size_t> sizes(blocks_ * blocks_, 0);
  parallel_for(blocks_, 1, num_threads_, [&](std::size_t b, std::size_t end, int) {
    for (; b < end; ++b)
      each_pair(b, [&](std::int32_t, std::int32_t c) { ++sizes[b * blocks_ + column_block_[static_cast<std::size_t>(c)]]; });
  });
  std::partial_sum(sizes.begin(), sizes.end(), begin_.begin() + 1);
  pairs_.resize(begin_.back());
  parallel_for(blocks_, 1, num_threads_, [&](std::size_t b, std::size_t end, int) {
    for (; b < end; ++b) {
      std::size_t next[kMostBlocks];
      std::copy_n(begin_.begin() + static_cast<std::ptrdiff_t>(b * blocks_), blocks_, next);
      each_pair(b, [&](std::int32_t r, std::int32_t c) { pairs_[next[column_block_[static_cast<std::size_t>(c)]]++] = {r, c}; });
      for (std::size_t c = 0; c < blocks_; ++c) {
        RandomStream random(seed_, kPairOrder, (epoch * blocks_ + b) * blocks_ + c);
        shuffle(pairs_.data() + begin_[b * blocks_ + c], next[c] - begin_[b * blocks_ + c], random);
      }
    }
  });
}

double BlockSchedule::epoch(int number, const std::function<void()>& ready, const Task& task) {
  arrange(static_cast<std::uint64_t>(number));
  if (ready) ready();
  // In each round row block b meets column block b + round. A task waits for the two of the round before that had its
  // rows and its columns, and for nothing else: tasks are handed out in order, so those are taken already.
  const std::unique_ptr<std::atomic<bool>[]> done(new std::atomic<bool>[blocks_ * blocks_]{});
  const auto wait_for = [&](std::size_t earlier) {
    while (!done[earlier].load(std::memory_order_acquire)) std::this_thread::yield();
  };
  parallel_for(blocks_ * blocks_, 1, num_threads_, [&](std::size_t t, std::size_t end, int) {
    for (; t < end; ++t) {
      struct Done {  // also after an exception, which others must not wait for
        std::atomic<bool>& flag;
        ~Done() { flag.store(true, std::memory_order_release); }
      } mark{done[t]};
      const std::size_t round = t / blocks_;
      const std::size_t b = t % blocks_;
      if (round > 0) {
        wait_for(t - blocks_);
        wait_for((round - 1) * blocks_ + (b + 1) % blocks_);
      }
      losses_[t] = task(b, (b + round) % blocks_);
    }
  });
  return std::accumulate(losses_.begin(), losses_.end(), 0.0);
}

}  // namespace etalage::detail
