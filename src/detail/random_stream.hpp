// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace etalage::detail {

/// The step and the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): every input bit reaches every output bit.
inline constexpr std::uint64_t kSplitMixStep = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t split_mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/// The sequence from a state on.
class SplitMix64 {
 public:
  explicit constexpr SplitMix64(std::uint64_t state) noexcept : state_(state) {}
  constexpr std::uint64_t next() noexcept { return split_mix(state_ += kSplitMixStep); }
  /// Uniform in [0, n), 1 <= n < 2^32; the bias is below n / 2^32.
  constexpr std::uint64_t below(std::uint64_t n) noexcept { return ((next() >> 32) * n) >> 32; }

 private:
  std::uint64_t state_;
};

/// Random numbers as a function of (seed, purpose, index): a SplitMix64 sequence (Steele, Lea, Flood, OOPSLA 2014)
/// that starts at a hash of the three. The distributions of <random> differ between standard libraries and logarithms
/// between C libraries, so the samplers here use integers, products and comparisons alone.
class RandomStream : public SplitMix64 {
 public:
  RandomStream(std::uint64_t seed, std::uint64_t purpose, std::uint64_t index) noexcept
      : SplitMix64(split_mix(split_mix(seed + kSplitMixStep * purpose) + kSplitMixStep * index)) {}

  std::uint32_t below(std::uint32_t n) noexcept { return static_cast<std::uint32_t>(SplitMix64::below(n)); }
  /// True with probability parts / 1000.
  bool chance(std::uint32_t parts) noexcept { return below(1000) < parts; }
  /// A place in [0, n) with density falling as place^(-2/3): the head of a list is picked far more often than its tail.
  std::uint32_t skewed(std::uint32_t n) noexcept {
    const double u = static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<std::uint32_t>(u * u * u * n);
  }
  /// 1, 2, 3, ... up to most, each further step with probability more / 1000.
  std::uint32_t steps(std::uint32_t more, std::uint32_t most) noexcept {
    std::uint32_t n = 1;
    while (n < most && chance(more)) ++n;
    return n;
  }
};

}  // namespace etalage::detail
