// SPDX-License-Identifier: Apache-2.0
// Rows in eight bits: bounds that hold, sums that are exact, and answers that are those of brute force.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "kernels/kernel_data.hpp"
#include "kernels/rank_key.hpp"
#include "search/coded_scan.hpp"
#include "search/exact.hpp"

namespace etalage::kernels {
namespace {

using namespace search;

using testing::TestRows;

struct Level {
  std::string name;
  const CodeTable* table;
};

std::vector<Level> levels() {
  std::vector<Level> out;
  for (const SimdLevel l : available_levels()) {
    out.push_back({name(l), &plain_code_at(l)});
    if (&code_at(l) != &plain_code_at(l)) out.push_back({std::string(name(l)) + "_vnni", &code_at(l)});
  }
  return out;
}

class CodeLevels : public ::testing::TestWithParam<Level> {
 protected:
  const CodeTable& table() const { return *GetParam().table; }
};
INSTANTIATE_TEST_SUITE_P(All, CodeLevels, ::testing::ValuesIn(levels()), [](const auto& p) { return p.param.name; });

CodeTail tail_of(const std::vector<std::uint8_t>& record, const CodeShape& shape) {
  CodeTail t;
  std::memcpy(&t, record.data() + shape.width, sizeof t);
  return t;
}

TEST_P(CodeLevels, RecordsHoldTheRowWithinTheirError) {
  for (const std::size_t dim : {1u, 3u, 15u, 16u, 17u, 31u, 33u, 64u, 96u, 100u, 128u, 257u}) {
    const CodeShape shape(dim);
    ASSERT_EQ(shape.width % 16, 0u);
    ASSERT_GE(shape.stride, shape.width + sizeof(CodeTail));
    for (const float size : {1.0f, 1e-3f, 1e7f, 1e-12f, 1e-20f, 1e-36f, 0.0f}) {
      TestRows rows(1, dim, 1, false, static_cast<unsigned>(dim));
      std::vector<float> x(rows[0], rows[0] + dim);
      for (float& v : x) v *= size;
      std::vector<std::uint8_t> record(shape.stride, 7);
      table().encode(x.data(), shape, record.data());
      const CodeTail tail = tail_of(record, shape);
      double error2 = 0;
      double norm2 = 0;
      for (std::size_t f = 0; f < dim; ++f) {
        ASSERT_GE(record[f], 1);
        const double rest = static_cast<double>(x[f]) - static_cast<double>(tail.scale) * (record[f] - 128);
        error2 += rest * rest;
        norm2 += static_cast<double>(x[f]) * static_cast<double>(x[f]);
      }
      for (std::size_t f = dim; f < shape.width; ++f) ASSERT_EQ(record[f], 128);
      EXPECT_GE(static_cast<double>(tail.error), std::sqrt(error2)) << dim << " " << size;
      EXPECT_GE(static_cast<double>(tail.norm), std::sqrt(norm2)) << dim << " " << size;
      if (size >= 1e-3f) {
        EXPECT_LE(static_cast<double>(tail.error), 0.01 * std::sqrt(norm2) + 1e-6) << dim << " " << size;
        EXPECT_LE(static_cast<double>(tail.norm), 1.001 * std::sqrt(norm2)) << dim << " " << size;
      }
    }
  }
}

TEST_P(CodeLevels, RowsWithoutAScaleAreNeverExcluded) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const CodeShape shape(20);
  for (const float odd : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
    std::vector<float> x(20, 1.0f);
    x[17] = odd;
    std::vector<std::uint8_t> record(shape.stride);
    table().encode(x.data(), shape, record.data());
    EXPECT_EQ(tail_of(record, shape).error, kInf);
    EXPECT_EQ(tail_of(record, shape).scale, 0.0f);
  }
}

TEST_P(CodeLevels, ScoresAreTheDefinitionAndBoundTheTruth) {
  for (const std::size_t dim : {1u, 5u, 16u, 30u, 32u, 48u, 96u, 100u, 128u, 300u})
    for (const bool distance : {false, true}) {
      const CodeShape shape(dim);
      const TestRows rows(12, dim, 0, false, static_cast<unsigned>(dim) + 1);
      std::vector<std::uint8_t> records(11 * shape.stride);
      for (std::size_t i = 0; i < 11; ++i) table().encode(rows[i], shape, records.data() + i * shape.stride);
      std::vector<std::int8_t> codes(shape.width);
      CodedQuery query;
      ASSERT_TRUE(encode_query(rows[11], shape, table().query_max, distance, codes.data(), query));
      const std::vector<std::int32_t> chosen{3, 3, 0, 10, 7, 1, 2};
      for (std::size_t n = 0; n <= chosen.size(); ++n) {
        std::vector<float> listed(n + 1, -1.0f), in_order(n + 1, -1.0f);
        table().scores(query.terms, shape, records.data(), chosen.data(), 0, n, listed.data());
        table().scores(query.estimate(), shape, records.data(), nullptr, 2, n, in_order.data());
        EXPECT_EQ(listed[n], -1.0f) << "nothing is written behind the results";
        for (std::size_t i = 0; i < n; ++i) {
          const auto r = static_cast<std::size_t>(chosen[i]);
          double truth = 0;
          for (std::size_t f = 0; f < dim; ++f)
            truth += static_cast<double>(rows[11][f]) * rows[r][f] - (distance ? 0.5 * static_cast<double>(rows[r][f]) * rows[r][f] : 0);
          truth /= static_cast<double>(query.step);
          EXPECT_GE(static_cast<double>(listed[i]) + static_cast<double>(query.constant()), truth);
          const std::uint8_t* record = records.data() + (2 + i) * shape.stride;
          CodeTail tail;
          std::memcpy(&tail, record + shape.width, sizeof tail);
          std::int64_t dot = 0;
          for (std::size_t f = 0; f < shape.width; ++f) dot += (record[f] - 128) * codes[f];
          const double expected = static_cast<double>(dot) * static_cast<double>(tail.scale) +
                                  static_cast<double>(tail.norm2) * static_cast<double>(query.terms.per_norm2);
          EXPECT_NEAR(static_cast<double>(in_order[i]), expected, 1e-5 * (std::abs(expected) + std::abs(static_cast<double>(dot)) + 1));
        }
      }
    }
}

TEST_P(CodeLevels, PanelsFindWhatScoresFind) {
  if (table().panel == 0) GTEST_SKIP() << "this level has no panels";
  for (const std::size_t dim : {16u, 33u, 96u, 128u})
    for (const std::size_t valid : {std::size_t{1}, table().panel - 1, table().panel})
      for (std::size_t queries = 1; queries <= table().group + 3; ++queries) {
      const CodeShape shape(dim);
      const TestRows rows(table().panel + queries, dim, 0, false, static_cast<unsigned>(dim + valid));
      CodedMemory memory;
      std::vector<std::int8_t> codes(queries * shape.width);
      memory.queries.resize(queries);
      for (std::size_t q = 0; q < queries; ++q)
        ASSERT_TRUE(encode_query(rows[table().panel + q], shape, table().query_max, true, &codes[q * shape.width], memory.queries[q]));
      memory.set_queries(memory.queries, 2 * table().group);
      PanelBuilder builder(table(), shape, memory);
      std::vector<std::uint8_t> records(table().panel * shape.stride);
      std::vector<std::uint32_t> indices;
      for (std::size_t i = 0; i < table().panel; ++i) {
        table().encode(rows[i], shape, &records[i * shape.stride]);
        if (i < valid && i % 2 == 0) builder.set(i, rows[i]);
        if (i < valid && i % 2 == 1) builder.set(i, &records[i * shape.stride]);
        indices.push_back(static_cast<std::uint32_t>(100 + i));
      }
      const CodePanel panel = builder.finish(valid, indices.data(), true);
      std::vector<Bounded> found(queries * 64);
      for (std::size_t q = 0; q < queries; ++q) {
        memory.found[q] = &found[q * 64];
        memory.thresholds[q] = q == 0 ? -1e30f : 0.0f;
      }
      table().scan_panel(panel, {queries, memory.terms.data(), memory.thresholds.data(), memory.found.data(), memory.counts.data()});
      for (std::size_t q = 0; q < queries; ++q) {
        std::vector<float> scores(valid);
        table().scores(memory.queries[q].estimate(), shape, records.data(), nullptr, 0, valid, scores.data());
        if (q == 0) {
          EXPECT_EQ(memory.counts[q], valid);
        }
        for (std::size_t c = 0; c < memory.counts[q]; ++c) {
          const Bounded& b = memory.found[q][c];
          ASSERT_GE(b.index, 100u);
          ASSERT_LT(b.index, 100u + valid);
          const float estimate = scores[b.index - 100];
          EXPECT_LE(b.lower, estimate);
          EXPECT_GE(b.upper, estimate);
          EXPECT_GT(b.upper, memory.thresholds[q]);
          EXPECT_NEAR(b.upper - estimate, estimate - b.lower, 1e-3f * (std::abs(estimate) + b.upper - b.lower + 1));
        }
        for (std::size_t i = 0; i < valid; ++i) {
          if (!(scores[i] > memory.thresholds[q])) continue;
          EXPECT_TRUE(std::any_of(memory.found[q], memory.found[q] + memory.counts[q], [&](const Bounded& b) { return b.index == 100 + i; }));
        }
      }
    }
}

TEST_P(CodeLevels, PanelsOfManyRecordsAreThoseOfOneAfterTheOther) {
  if (table().panel == 0) GTEST_SKIP() << "this level has no panels";
  for (const std::size_t dim : {8u, 16u, 33u, 64u, 96u, 100u, 128u, 200u})
    for (std::size_t n = 1; n <= table().panel; ++n) {
      const CodeShape shape(dim);
      const TestRows rows(n, dim, 0, false, static_cast<unsigned>(dim + n));
      std::vector<std::uint8_t> records(n * shape.stride);
      std::vector<const std::uint8_t*> pointers;
      CodedMemory together, single;
      PanelBuilder a(table(), shape, together);
      PanelBuilder b(table(), shape, single);
      for (std::size_t i = 0; i < n; ++i) {
        pointers.push_back(&records[(n - 1 - i) * shape.stride]);
        table().encode(rows[i], shape, &records[(n - 1 - i) * shape.stride]);
        b.set(i, pointers.back());
      }
      a.set_all(pointers.data(), n);
      const CodePanel x = a.finish(n, nullptr, true);
      const CodePanel y = b.finish(n, nullptr, true);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t f = 0; f < shape.width; ++f) {
          const std::size_t at = f / 4 * 4 * table().panel + 4 * i + f % 4;
          ASSERT_EQ(x.codes[at], y.codes[at]) << dim << ' ' << n << ' ' << i << ' ' << f;
        }
        ASSERT_EQ(x.scale[i], y.scale[i]);
        ASSERT_EQ(x.error[i], y.error[i]);
        ASSERT_EQ(x.norm[i], y.norm[i]);
        ASSERT_EQ(x.norm2[i], y.norm2[i]);
      }
      for (std::size_t i = n; i < table().panel; ++i) ASSERT_EQ(x.scale[i], 0.0f);
    }
}

// The whole path: the same bits as without codes.
class CodedTopK : public CodeLevels {
 protected:
  static constexpr std::size_t kQueries = 60;
  void expect_equal(const ScoredRows& rows, const std::vector<float>& queries, std::size_t k, std::span<const std::int32_t> excluded,
                    const ItemFilter* filter) const {
    const CodeTable without{table().query_max, 0, 1, table().encode, table().scores, nullptr};
    std::vector<ScanRequest> requests;
    for (std::size_t q = 0; q < kQueries; ++q)
      requests.push_back({queries.data() + q * rows.dim, q % 7 == 3 ? k / 2 : k, q % 2 == 0 ? excluded : std::span<const std::int32_t>(), filter});
    ScanWorkspace a, b;
    std::vector<std::span<const std::uint64_t>> coded(kQueries), plain(kQueries);
    exact_top_k(rows, requests, coded, a, scan(), table());
    exact_top_k(rows, requests, plain, b, scan(), without);
    for (std::size_t q = 0; q < kQueries; ++q) {
      ASSERT_EQ(coded[q].size(), plain[q].size()) << q;
      for (std::size_t i = 0; i < coded[q].size(); ++i) ASSERT_EQ(coded[q][i], plain[q][i]) << "query " << q << ", rank " << i;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(All, CodedTopK, ::testing::ValuesIn(levels()), [](const auto& p) { return p.param.name; });

TEST_P(CodedTopK, EqualsTheScanInFloat) {
  const std::vector<std::int32_t> excluded{0, 1, 17, 900, 1499};
  std::vector<std::int64_t> some;
  for (std::int64_t i = 0; i < 1500; i += 2 - i % 2) some.push_back(i);
  const ItemFilter filter = ItemFilter::allow(some);
  const ItemFilter deny = ItemFilter::deny(std::vector<std::int64_t>{5, 6, 7, 1000});
  for (const std::size_t dim : {16u, 33u, 64u, 128u})
    for (const std::size_t n : {1000u, 1500u})
      for (const bool integers : {false, true}) {  // integers: many ties
        const TestRows rows(n, dim, 0, integers, static_cast<unsigned>(dim + n));
        const TestRows queries(kQueries, dim, 0, integers, 3);
        const std::vector<float> q(queries.data(), queries.data() + kQueries * dim);
        for (const std::size_t k : {0u, 1u, 10u})
          for (const ItemFilter* f : {static_cast<const ItemFilter*>(nullptr), &filter, &deny})
            expect_equal({rows.data(), n, dim, dim}, q, k, excluded, f);
      }
}

TEST_P(CodedTopK, HoldsForOddRowsAndQueries) {
  constexpr std::size_t n = 1200;
  constexpr std::size_t dim = 24;
  const TestRows made(n, dim, 0, false, 1);
  std::vector<float> rows(made.data(), made.data() + n * dim);
  std::mt19937 random(2);
  for (std::size_t i = 0; i < n; ++i) {
    // Norms over many orders, zeros, copies, and values that are not finite.
    const float size = std::pow(10.0f, static_cast<float>(random() % 13) - 6.0f);
    for (std::size_t f = 0; f < dim; ++f) rows[i * dim + f] = i % 11 == 0 ? 0.0f : i % 5 == 0 ? rows[f] : rows[i * dim + f] * size;
  }
  rows[100 * dim + 3] = std::numeric_limits<float>::quiet_NaN();
  rows[200 * dim + 4] = std::numeric_limits<float>::infinity();
  rows[300 * dim + 5] = 1e37f;
  const TestRows some(kQueries, dim, 0, false, 4);
  std::vector<float> queries(some.data(), some.data() + kQueries * dim);
  expect_equal({rows.data(), n, dim, dim}, queries, 9, {}, nullptr);
  std::fill_n(queries.begin(), dim, 0.0f);
  expect_equal({rows.data(), n, dim, dim}, queries, 9, {}, nullptr);
  queries[5] = std::numeric_limits<float>::infinity();
  expect_equal({rows.data(), n, dim, dim}, queries, 9, {}, nullptr);
  const std::vector<float> equal(n * dim, 1.0f);
  const TestRows others(kQueries, dim, 0, false, 5);
  expect_equal({equal.data(), n, dim, dim}, {others.data(), others.data() + kQueries * dim}, 9, {}, nullptr);
}

}  // namespace
}  // namespace etalage::kernels
