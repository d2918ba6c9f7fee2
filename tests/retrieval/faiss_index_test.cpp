// SPDX-License-Identifier: Apache-2.0
// Any index of FAISS behind VectorIndex: its proposals, our scores, all results that filters leave.
#include "etalage/retrieval/faiss_index.hpp"

#include <faiss/IndexFlat.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/impl/io.h>
#include <faiss/index_io.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/faiss_files.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/recommender.hpp"
#include "io/tiny_model.hpp"
#include "retrieval/index_data.hpp"

// FAISS 1.7.3 forgets what it has made so far of bytes and factory texts that it then refuses; LeakSanitizer asks, where there is one.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:faiss::read_\nleak:index_factory_sub"; }

namespace etalage {
namespace {

using test::clustered;
using test::id_range;
using test::Vectors;

constexpr std::size_t kItems = 4000;
constexpr std::size_t kDim = 32;
constexpr IndexMetric kMetrics[] = {IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2};

const Vectors& items() {
  static const Vectors v = clustered(kItems, kDim, 40, 1).scale(0.5f, 2.0f, 3);
  return v;
}
const Vectors& queries() {
  static const Vectors v = clustered(16, kDim, 40, 2);
  return v;
}

std::vector<std::vector<Neighbor>> answers(const VectorIndex& index, std::size_t k, const ItemFilter* filter = nullptr) {
  return test::search_all(index, queries(), k, filter);
}

void expect_equal(const std::vector<std::vector<Neighbor>>& a, const std::vector<std::vector<Neighbor>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size());
    for (std::size_t j = 0; j < a[i].size(); ++j) {
      EXPECT_EQ(a[i][j].id, b[i][j].id);
      EXPECT_EQ(a[i][j].score, b[i][j].score);
    }
  }
}

ItemIndex exact_of(IndexMetric metric) { return {kDim, metric, IndexKind::kExact}; }

struct Case {
  const char* factory;
  double recall;
};

class Factories : public ::testing::TestWithParam<Case> {};

TEST_P(Factories, ProposeRowsThatAreScoredAsOursWithEveryResultThatFiltersLeave) {
  for (const IndexMetric metric : kMetrics) {
    SCOPED_TRACE(static_cast<int>(metric));
    if (metric == IndexMetric::kDot && std::string(GetParam().factory).find("PQ") != std::string::npos) continue;  // training takes long
    const auto ids = id_range(100, kItems, 3);
    ItemIndex exact = exact_of(metric);
    exact.add(items().view(), ids);
    FaissIndex index(kDim, metric, GetParam().factory, {.ef_search = 128, .num_threads = 1});
    index.add(items().view(), ids);
    index.train();
    ASSERT_TRUE(index.built());
    std::vector<std::int64_t> half, few(ids.begin(), ids.begin() + 7), all_but_few;
    for (std::size_t i = 0; i < kItems; ++i) {
      if (i % 2 == 0) half.push_back(ids[i]);
      if (i >= 5) all_but_few.push_back(ids[i]);
    }
    const ItemFilter filters[] = {{}, ItemFilter::allow(half), ItemFilter::deny(half), ItemFilter::allow(few), ItemFilter::deny(few), ItemFilter::deny(all_but_few)};
    for (const ItemFilter& filter : filters) {
      const auto expected = answers(exact, 10, &filter);
      const auto found = answers(index, 10, &filter);
      EXPECT_GE(test::recall(found, expected), GetParam().recall);
      Scratch scratch;
      for (std::size_t q = 0; q < found.size(); ++q) {
        ASSERT_EQ(found[q].size(), expected[q].size()) << "min(k, allowed)";
        std::set<std::int64_t> seen;
        for (const Neighbor& n : found[q]) {
          EXPECT_TRUE(filter.allows(n.id) && seen.insert(n.id).second);
          Neighbor alone;
          const ItemFilter only = ItemFilter::allow({n.id});
          ASSERT_EQ(exact.search(queries().row(q), {&alone, 1}, &only, scratch), 1u);
          EXPECT_EQ(alone.score, n.score);
        }
      }
    }
    // A batch answers as its queries do alone, with one filter and with one a query.
    std::vector<const ItemFilter*> each;
    for (std::size_t q = 0; q < queries().rows(); ++q) each.push_back(&filters[q % 6]);
    for (const auto& some : {std::vector<const ItemFilter*>(), std::vector<const ItemFilter*>{&filters[1]}, each}) {
      std::vector<Neighbor> out(queries().rows() * 10);
      std::vector<std::size_t> counts(queries().rows());
      index.search_batch(queries().view(), {out.data(), queries().rows(), 10}, counts, some, 2);
      Scratch scratch;
      for (std::size_t q = 0; q < queries().rows(); ++q) {
        Neighbor alone[10];
        const ItemFilter* filter = some.empty() ? nullptr : some[some.size() == 1 ? 0 : q];
        ASSERT_EQ(index.search(queries().row(q), alone, filter, scratch), counts[q]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Faiss, Factories,
                         ::testing::Values(Case{"Flat", 1.0}, Case{"IVF16,Flat", 0.99}, Case{"IVF64,SQ8", 0.9}, Case{"IVF16,PQ16x4fs,RFlat", 0.9},
                                         Case{"PQ16x4fs", 0.9}, Case{"HNSW16", 0.95},
                                         Case{"HNSW16,RFlat", 0.95}, Case{"PCA24,Flat", 0.9}, Case{"IDMap,Flat", 1.0},
                                         Case{"IVF16,Flat,Refine(SQ8)", 0.9}),
                         [](const auto& info) {
                           std::string name = info.param.factory;
                           for (char& c : name)
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           return name;
                         });

TEST(FaissIndexTest, AnswersExactlyUntilThereIsEnoughToTrainOn) {
  FaissIndex index(kDim, IndexMetric::kL2, "IVF64,Flat", {.nprobe = 2, .num_threads = 1});
  ItemIndex exact = exact_of(IndexMetric::kL2);
  EXPECT_EQ(index.min_training_rows(), 39u * 64);
  const std::size_t before = 39 * 64 - 1;
  index.add(items().slice(0, before).view(), id_range(0, before));
  exact.add(items().slice(0, before).view(), id_range(0, before));
  EXPECT_FALSE(index.built());
  expect_equal(answers(index, 10), answers(exact, 10));
  index.add(items().slice(before, kItems).view(), id_range(static_cast<std::int64_t>(before), kItems - before));
  EXPECT_TRUE(index.built());
  EXPECT_EQ(index.size(), kItems);
}

TEST(FaissIndexTest, FollowsChanges) {
  for (const char* factory : {"IVF16,Flat", "HNSW16", "SQ8"}) {
    SCOPED_TRACE(factory);
    FaissIndex index(kDim, IndexMetric::kCosine, factory, {.nprobe = 16, .ef_search = 200, .rescore_factor = 40, .num_threads = 1});
    ItemIndex exact = exact_of(IndexMetric::kCosine);
    const auto both = [&](const auto& change) {
      change(index);
      change(exact);
    };
    both([](auto& ix) { ix.add(items().slice(0, 3000).view(), id_range(0, 3000)); });
    index.train();
    both([](auto& ix) { ix.add(items().slice(3000, 3900).view(), id_range(3000, 900)); });
    both([](auto& ix) { ix.update(items().slice(3900, 4000).view(), id_range(50, 100)); });
    both([](auto& ix) { EXPECT_EQ(ix.remove(id_range(1000, 500)), 500u); });
    EXPECT_EQ(index.dead_rows(), 600u);
    EXPECT_EQ(index.ids(), exact.ids());
    EXPECT_GE(test::recall(answers(index, 10), answers(exact, 10)), 0.97);
    for (const auto& row : answers(index, 10))
      for (const Neighbor& n : row) EXPECT_TRUE(n.id < 1000 || n.id >= 1500);
    EXPECT_EQ(answers(index, 5000)[0].size(), 3400u);
    index.compact();
    EXPECT_EQ(index.dead_rows(), 0u);
    EXPECT_GE(test::recall(answers(index, 10), answers(exact, 10)), 0.97);
    EXPECT_EQ(index.remove(id_range(0, 4000)), 3400u);
    EXPECT_TRUE(answers(index, 10)[0].empty());
    index.add(items().slice(0, 20).view(), id_range(0, 20));
    EXPECT_EQ(answers(index, 30)[0].size(), 20u);
  }
}

TEST(FaissIndexTest, WhatTakesNoMoreItemsIsRefusedByName) {
  const Vectors some = items().slice(0, 500);
  FaissIndex index(kDim, IndexMetric::kL2, "NSG16", {.num_threads = 1});
  ItemIndex exact = exact_of(IndexMetric::kL2);
  index.add(some.view(), id_range(0, 500));
  exact.add(some.view(), id_range(0, 500));
  ASSERT_TRUE(index.built());
  const ItemFilter most = ItemFilter::deny({3, 4, 5});  // and it takes no selector
  for (const ItemFilter* filter : {static_cast<const ItemFilter*>(nullptr), &most})
    EXPECT_GE(test::recall(answers(index, 10, filter), answers(exact, 10, filter)), 0.9);
  try {
    index.add(items().slice(0, 1).view(), id_range(5000, 1));
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("IndexNSG"), std::string::npos) << e.what();
  }
  EXPECT_THROW(index.update(items().slice(0, 1).view(), id_range(0, 1)), std::invalid_argument);
  EXPECT_EQ(index.size(), 500u);
  EXPECT_EQ(index.remove(id_range(0, 10)), 10u);
  EXPECT_EQ(answers(index, 2000)[0].size(), 490u);
}

TEST(FaissIndexTest, ManyEquallyFarRowsDoNotEndTheProcess) {
  Vectors few = items().slice(0, 30);
  Vectors many{kDim, {}};
  for (std::size_t i = 0; i < 100; ++i) many.data.insert(many.data.end(), few.data.begin(), few.data.end());
  for (const char* factory : {"IVF8,PQ4x4fs", "PQ4x4fs"}) {
    SCOPED_TRACE(factory);
    for (const IndexMetric metric : {IndexMetric::kL2, IndexMetric::kDot}) {
      FaissIndex index(kDim, metric, factory, {.num_threads = 1});
      index.add(many.view(), id_range(0, 3000));
      ASSERT_TRUE(index.built());
      for (const std::size_t k : {1u, 10u, 30u, 100u})
        for (const auto& row : answers(index, k)) EXPECT_EQ(row.size(), k);
    }
  }
}

TEST(FaissIndexTest, IsSavedAndOpenedOnlyWithTrust) {
  const testing::TempDir dir;
  for (const char* factory : {"IVF16,PQ16x4fs,RFlat", "IVF4096,Flat"}) {  // trained, and waiting for items
    FaissIndex index(kDim, IndexMetric::kCosine, factory, {.nprobe = 3, .num_threads = 1});
    index.add(items().view(), id_range(7, kItems));
    (void)index.remove(id_range(7, 100));
    save(index, dir / "index");
    try {
      (void)load_faiss_index(dir / "index");
      FAIL();
    } catch (const FormatError& e) {
      EXPECT_NE(std::string(e.what()).find("trust_faiss"), std::string::npos) << e.what();
    }
    const auto loaded = load_faiss_index(dir / "index", {.trust_faiss = true});
    EXPECT_EQ(loaded->factory(), factory);
    EXPECT_EQ(loaded->options().nprobe, 3);
    EXPECT_EQ(loaded->built(), index.built());
    SCOPED_TRACE(factory);
    expect_equal(answers(*loaded, 10), answers(index, 10));
    loaded->add(items().slice(0, 50).view(), id_range(100'000, 50));
    EXPECT_EQ(loaded->size(), kItems - 50);
    const auto bytes = save_to_memory(*loaded);
    EXPECT_THROW((void)load_faiss_index_from_memory(bytes), FormatError);
    expect_equal(answers(*load_faiss_index_from_memory(bytes, {.trust_faiss = true}), 10), answers(*loaded, 10));
  }
  register_faiss_index();
  register_faiss_index();
  EXPECT_THROW((void)load_vector_index(dir / "index"), FormatError);
  EXPECT_EQ(load_vector_index(dir / "index", {.trust_faiss = true})->kind(), "FaissIndex");
}

TEST(FaissIndexTest, TakesAndGivesBytesOfFaiss) {
  faiss::IndexFlatL2 coarse(kDim);
  faiss::IndexIVFPQ trained(&coarse, kDim, 16, 16, 4);
  trained.train(kItems, items().data.data());
  trained.add(kItems, items().data.data());
  faiss::VectorIOWriter writer;
  faiss::write_index(&trained, &writer);
  const auto ids = id_range(10, kItems);
  const auto index = FaissIndex::from_faiss_bytes(writer.data, items().view(), ids, IndexMetric::kL2);
  ItemIndex exact = exact_of(IndexMetric::kL2);
  exact.add(items().view(), ids);
  EXPECT_GE(test::recall(answers(*index, 10), answers(exact, 10)), 0.9);
  (void)index->remove(id_range(10, 1000));
  index->compact();
  EXPECT_EQ(index->dead_rows(), 0u);
  EXPECT_THROW((void)FaissIndex::from_faiss_bytes(writer.data, items().view(), ids, IndexMetric::kDot), std::invalid_argument);
  EXPECT_THROW((void)FaissIndex::from_faiss_bytes(writer.data, items().slice(0, 5).view(), id_range(0, 5), IndexMetric::kL2), std::invalid_argument);
  writer.data.resize(100);
  EXPECT_THROW((void)FaissIndex::from_faiss_bytes(writer.data, items().view(), ids, IndexMetric::kL2), std::invalid_argument);

  FaissIndex flat(kDim, IndexMetric::kL2, "Flat");
  flat.add(items().view(), ids);
  (void)flat.remove(id_range(10, 7));
  faiss::VectorIOReader reader;
  reader.data = flat.to_faiss_bytes();
  const std::unique_ptr<faiss::Index> theirs(faiss::read_index(&reader));
  ASSERT_NE(dynamic_cast<faiss::IndexIDMap2*>(theirs.get()), nullptr);
  ASSERT_EQ(theirs->ntotal, static_cast<std::int64_t>(kItems - 7));
  const auto ours = answers(flat, 1);
  for (std::size_t q = 0; q < queries().rows(); ++q) {
    float distance = 0;
    std::int64_t label = -1;
    theirs->search(1, queries().row(q).data(), 1, &distance, &label);
    EXPECT_EQ(label, ours[q][0].id);
    EXPECT_NEAR(-distance, ours[q][0].score, 1e-3f);
  }
}

TEST(FaissIndexTest, RefusesByNameWhatItIsNot) {
  const auto message = [](const char* factory) -> std::string {
    try {
      FaissIndex index(kDim, IndexMetric::kL2, factory);
      return "";
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
  };
  EXPECT_NE(message("NoSuchThing").find("factory is 'NoSuchThing'"), std::string::npos);
  EXPECT_NE(message("IVF16,PQ7").find("factory is"), std::string::npos) << "32 is no multiple of 7";
  EXPECT_NE(message("").find("factory is"), std::string::npos);
  EXPECT_THROW(FaissIndex(0, IndexMetric::kL2, "Flat"), std::invalid_argument);
  EXPECT_THROW(FaissIndex(kDim, IndexMetric::kL2, "Flat", {.nprobe = 0}), std::invalid_argument);
  FaissIndex index(kDim, IndexMetric::kL2, "Flat");
  index.add(items().slice(0, 10).view(), id_range(0, 10));
  EXPECT_THROW(index.add(items().slice(0, 10).view(), id_range(0, 10)), std::invalid_argument);
  EXPECT_THROW(index.update(items().slice(0, 1).view(), id_range(90, 1)), std::invalid_argument);
  std::vector<float> query(kDim, std::nanf(""));
  Neighbor out[3];
  Scratch scratch;
  EXPECT_THROW((void)index.search(query, out, nullptr, scratch), std::invalid_argument);
  EXPECT_EQ(index.size(), 10u);
}

TEST(FaissIndexTest, IsSearchedWhileItChanges) {
  FaissIndex index(kDim, IndexMetric::kDot, "IVF16,Flat", {.num_threads = 1});
  index.add(items().slice(0, 2000).view(), id_range(0, 2000));
  std::atomic<bool> done = false;
  std::thread reader([&] {
    do {
      for (const auto& row : answers(index, 10)) EXPECT_EQ(row.size(), 10u);
    } while (!done);
  });
  for (std::int64_t id = 2000; id < 2200; ++id) {
    index.add(items().slice(static_cast<std::size_t>(id), static_cast<std::size_t>(id) + 1).view(), id_range(id, 1));
    (void)index.remove(id_range(id - 1500, 1));
  }
  done = true;
  reader.join();
  EXPECT_EQ(index.size(), 2000u);
}

}  // namespace
}  // namespace etalage
