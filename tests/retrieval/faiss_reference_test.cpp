// SPDX-License-Identifier: Apache-2.0
// FAISS's own flat and HNSW indexes as the yardstick: the same answers, and no less recall at the same settings.
#include <omp.h>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"

namespace etalage {
namespace {

using test::clustered;
using test::id_range;
using test::Vectors;

constexpr std::size_t kItems = 6000;
constexpr std::size_t kDim = 32;
constexpr std::size_t kK = 10;

std::vector<std::int64_t> faiss_ids(const faiss::Index& index, const Vectors& queries) {
  std::vector<float> distances(queries.rows() * kK);
  std::vector<std::int64_t> ids(queries.rows() * kK);
  index.search(static_cast<std::int64_t>(queries.rows()), queries.data.data(), static_cast<std::int64_t>(kK), distances.data(), ids.data());
  return ids;
}

double shared(const std::vector<std::vector<Neighbor>>& ours, const std::vector<std::int64_t>& ids) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < ours.size(); ++q)
    for (const Neighbor& n : ours[q])
      for (std::size_t j = 0; j < kK; ++j) hits += ids[q * kK + j] == n.id ? 1u : 0u;
  return static_cast<double>(hits) / static_cast<double>(ids.size());
}

double shared(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < a.size(); q += kK)
    for (std::size_t i = q; i < q + kK; ++i)
      for (std::size_t j = q; j < q + kK; ++j) hits += a[i] == b[j] ? 1u : 0u;
  return static_cast<double>(hits) / static_cast<double>(a.size());
}

TEST(Faiss, FlatSearchAgreesAndItsGraphFindsNoMoreThanOurs) {
  const Vectors items = clustered(kItems, kDim, 40, 1);
  const Vectors queries = clustered(200, kDim, 40, 2);
  faiss::IndexFlatL2 flat(kDim);
  flat.add(kItems, items.data.data());
  const auto truth = faiss_ids(flat, queries);
  ItemIndex exact(kDim, IndexMetric::kL2, IndexKind::kExact);
  exact.add(items.view(), id_range(0, kItems));
  EXPECT_GE(shared(test::search_all(exact, queries, kK), truth), 0.999) << "but for ties, which FAISS breaks otherwise";

  faiss::IndexHNSWFlat theirs(kDim, 16);
  theirs.hnsw.efConstruction = 100;
  theirs.add(kItems, items.data.data());
  ItemIndex ours(kDim, IndexMetric::kL2, IndexKind::kHnsw, {.M = 16, .ef_construction = 100});
  ours.add(items.view(), id_range(0, kItems));
  for (const int ef : {16, 64}) {
    theirs.hnsw.efSearch = ef;
    ours.set_ef_search(ef);
    EXPECT_GE(shared(test::search_all(ours, queries, kK), truth), shared(faiss_ids(theirs, queries), truth) - 0.01) << "ef " << ef;
  }
}

}  // namespace
}  // namespace etalage
