// SPDX-License-Identifier: Apache-2.0
// Bounds made closer by what a query's codes leave out are bounds still, and about half as wide.
#include "search/closer_query.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace etalage::search {
namespace {

using kernels::SimdLevel;

std::vector<float> normal(std::size_t n, float size, std::mt19937& random) {
  std::normal_distribution<float> draw(0, size);
  std::vector<float> out(n);
  for (float& x : out) x = draw(random);
  return out;
}

TEST(CloserQuery, BoundsHoldAndComeCloser) {
  std::mt19937 random(1);
  constexpr std::size_t kRows = 50;
  for (const SimdLevel level : kernels::available_levels()) {
    const CodeTable& table = kernels::code_at(level);
    for (const std::size_t dim : {8u, 33u, 96u, 300u})
      for (const bool distance : {false, true})
        for (const float size : {1.0f, 1e-6f, 3e4f}) {
          const CodeShape shape = CodeShape::dense(dim);
          const std::vector<float> query = normal(dim, size, random);
          std::vector<std::int8_t> codes(shape.width);
          CodedQuery coded;
          ASSERT_TRUE(encode_query(query.data(), shape, table.query_max, distance, codes.data(), coded));
          CloserQuery closer;
          ASSERT_TRUE(closer.prepare(query.data(), shape, table.query_max, coded));
          std::vector<std::uint8_t> records(kRows * shape.stride);
          std::vector<std::int32_t> rows(kRows);
          std::vector<double> exact(kRows);
          for (std::size_t r = 0; r < kRows; ++r) {
            // Some along the query, where bounds are tight, of lengths that differ by far.
            std::vector<float> row = normal(dim, size * std::ldexp(1.0f, static_cast<int>(r % 9) - 4), random);
            if (r % 3 == 0) row = query;
            table.encode(row.data(), shape, records.data() + r * shape.stride);
            rows[r] = static_cast<std::int32_t>(kRows - 1 - r);
            double dot = 0;
            double norm2 = 0;
            for (std::size_t f = 0; f < dim; ++f) {
              dot += static_cast<double>(query[f]) * static_cast<double>(row[f]);
              norm2 += static_cast<double>(row[f]) * static_cast<double>(row[f]);
            }
            exact[kRows - 1 - r] = (distance ? dot - norm2 / 2 : dot) / static_cast<double>(coded.step);
          }
          std::vector<float> uppers(kRows);
          std::vector<float> corrections(kRows);
          table.scores(coded.terms, shape, records.data(), rows.data(), 0, kRows, uppers.data());
          closer.correct(table, shape, records.data(), rows.data(), kRows, corrections.data());
          double before = 0;
          double after = 0;
          for (std::size_t i = 0; i < kRows; ++i) {
            const auto upper = static_cast<double>(closer.closer(uppers[i], corrections[i]));
            const double slack = static_cast<double>(coded.constant());
            EXPECT_GE(upper + slack, exact[i]) << dim << ", " << size << ", row " << i << (distance ? ", distance" : "");
            before += static_cast<double>(uppers[i]) - exact[i];
            after += upper - exact[i];
          }
          if (!distance) {
            EXPECT_LT(after, .75 * before) << dim << ", " << size;
          }
        }
  }
}

TEST(CloserQuery, LeavesRowsWithoutBoundsAloneAndSaysWhenNothingIsLeft) {
  const CodeShape shape = CodeShape::dense(8);
  const CodeTable& table = kernels::code();
  // Every value a whole number of steps: the codes leave nothing out.
  std::vector<float> query(8, static_cast<float>(table.query_max));
  std::vector<std::int8_t> codes(shape.width);
  CodedQuery coded;
  ASSERT_TRUE(encode_query(query.data(), shape, table.query_max, false, codes.data(), coded));
  CloserQuery closer;
  EXPECT_FALSE(closer.prepare(query.data(), shape, table.query_max, coded));

  query[3] = 1.3f;
  ASSERT_TRUE(encode_query(query.data(), shape, table.query_max, false, codes.data(), coded));
  ASSERT_TRUE(closer.prepare(query.data(), shape, table.query_max, coded));
  const std::vector<float> row(8, 1e20f);
  std::vector<std::uint8_t> record(shape.stride);
  table.encode(row.data(), shape, record.data());
  const std::int32_t first = 0;
  float upper = 0;
  float correction = 0;
  table.scores(coded.terms, shape, record.data(), &first, 0, 1, &upper);
  closer.correct(table, shape, record.data(), &first, 1, &correction);
  EXPECT_FALSE(closer.closer(upper, correction) <= std::numeric_limits<float>::max());
}

}  // namespace
}  // namespace etalage::search
