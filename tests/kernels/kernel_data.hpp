// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace etalage::testing {

/// Lengths around every vector width, and some that are long.
inline std::vector<std::size_t> awkward_lengths() {
  std::vector<std::size_t> n;
  for (std::size_t i = 0; i <= 67; ++i) n.push_back(i);
  for (const std::size_t i : {96u, 100u, 127u, 128u, 129u, 255u, 257u, 512u}) n.push_back(i);
  return n;
}

/// Rows that begin `misaligned` floats past an aligned address; integers make every order of summation exact.
class TestRows {
 public:
  TestRows(std::size_t rows, std::size_t dim, std::size_t misaligned, bool integers, unsigned seed)
      : dim_(dim), start_(misaligned), values_(rows * (dim + misaligned) + misaligned + 1) {
    std::mt19937 rng(seed);
    std::uniform_int_distribution<int> grid(-6, 6);
    std::normal_distribution<float> normal(0, 1);
    for (float& v : values_) v = integers ? static_cast<float>(grid(rng)) : normal(rng);
    for (std::size_t r = 0; r < rows; ++r) pointers_.push_back(values_.data() + start_ + r * stride());
  }
  [[nodiscard]] std::size_t stride() const { return dim_ + start_; }
  [[nodiscard]] const float* operator[](std::size_t r) const { return pointers_[r]; }
  [[nodiscard]] const float* data() const { return values_.data() + start_; }
  [[nodiscard]] std::size_t size() const { return pointers_.size(); }
  /// Padded by repetition to a multiple of `unit`.
  [[nodiscard]] std::vector<const float*> pointers(std::size_t begin, std::size_t n, std::size_t unit) const {
    std::vector<const float*> p(pointers_.begin() + static_cast<std::ptrdiff_t>(begin),
                                pointers_.begin() + static_cast<std::ptrdiff_t>(begin + n));
    while (p.size() % unit != 0) p.push_back(p.front());
    return p;
  }

 private:
  std::size_t dim_;
  std::size_t start_;
  std::vector<float> values_;
  std::vector<const float*> pointers_;
};

/// How far a float32 sum of products in any order may lie from another: gamma_n times the sum of magnitudes.
inline double sum_tolerance(const float* a, const float* b, std::size_t dim) {
  double magnitude = 0;
  for (std::size_t f = 0; f < dim; ++f) {
    const double p = static_cast<double>(a[f]) * b[f];
    magnitude += p < 0 ? -p : p;
  }
  return magnitude * static_cast<double>(dim + 2) * 6e-8 + 1e-37;
}

}  // namespace etalage::testing
