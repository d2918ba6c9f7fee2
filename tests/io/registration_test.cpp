// SPDX-License-Identifier: Apache-2.0
// A host's own models and indexes: registered ones come back from every place where they may be kept, others are refused by
// name before anything is written, and nothing loads as null.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/vectors.hpp"
#include "io/tiny_model.hpp"

namespace etalage {
namespace {

using testing::TempDir;
using testing::TinyModel;

/// Reads every vector; its kind is told.
class PlainIndex final : public VectorIndex {
 public:
  PlainIndex(std::string kind, Array<float> rows, int dim) : kind_(std::move(kind)), rows_(std::move(rows)), dim_(dim) {}
  std::string_view kind() const noexcept override { return kind_; }
  int dim() const noexcept override { return dim_; }
  std::size_t size() const override { return rows_.size() / static_cast<std::size_t>(dim_); }
  bool ranks_by_dot() const noexcept override { return true; }
  std::size_t search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter, Scratch&) const override {
    std::vector<Neighbor> all;
    for (std::size_t i = 0; i < size(); ++i) {
      if (filter != nullptr && !filter->allows(static_cast<std::int64_t>(i))) continue;
      float sum = 0;
      for (std::size_t f = 0; f < query.size(); ++f) sum += query[f] * rows_[i * query.size() + f];
      all.push_back({static_cast<std::int64_t>(i), sum});
    }
    std::stable_sort(all.begin(), all.end(), [](const Neighbor& a, const Neighbor& b) { return a.score > b.score; });
    const std::size_t n = std::min(out.size(), all.size());
    std::copy_n(all.begin(), n, out.begin());
    return n;
  }
  void save_state(StateWriter& w) const override {
    w.put_int("dim", dim_);
    w.put_array("rows", rows_);
  }
  static std::shared_ptr<VectorIndex> from_state(const StateReader& r) {
    return std::make_shared<PlainIndex>("Plain", r.get_array<float>("rows"), static_cast<int>(r.get_int("dim", 1, 1000)));
  }

 private:
  std::string kind_;
  Array<float> rows_;
  int dim_;
};

/// A model of another kind than TinyModel's, which nobody registers.
class Nameless final : public Recommender {
 public:
  std::string_view kind() const noexcept override { return "Nameless"; }
  std::int32_t num_users() const noexcept override { return 1; }
  std::int32_t num_items() const noexcept override { return 3; }
  std::size_t recommend(const Query&, std::span<ItemScore>, Scratch&) const override { return 0; }
  void score(const Query&, std::span<const std::int32_t>, std::span<float>, Scratch&) const override {}
};

Array<float> rows() { return Array<float>(std::vector<float>{1, 0, 0, 2, 1, 1}); }

std::shared_ptr<VectorsModel> model_with(std::string kind) {
  auto m = std::make_shared<VectorsModel>(Array<float>(std::vector<float>{1, 3}), rows(), 2);
  m->set_index(std::make_shared<PlainIndex>(std::move(kind), rows(), 2));
  return m;
}

/// Expects save() to refuse by this kind, and to leave no file behind.
template <class Save>
void refuses(const std::string& kind, const std::string& how, const TempDir& dir, const Save& save) {
  try {
    save();
    FAIL() << kind << " was saved";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("'" + kind + "'"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(how), std::string::npos) << e.what();
  }
  EXPECT_EQ(dir.files(), 0u);
}

class Registration : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    register_model("Tiny", &TinyModel::from_state);
    register_index("Plain", &PlainIndex::from_state);
  }
};

TEST_F(Registration, AnOwnIndexComesBackAloneAndInsideAModel) {
  const TempDir dir;
  const PlainIndex index("Plain", rows(), 2);
  save(index, dir / "index.etalage");
  EXPECT_EQ(file_info(dir / "index.etalage").kind, "Plain");
  const auto loaded = load_vector_index(dir / "index.etalage");
  EXPECT_EQ(loaded->kind(), "Plain");
  EXPECT_EQ(loaded->size(), 3u);

  const auto model = model_with("Plain");
  save(*model, dir / "model.etalage");
  const auto back = std::dynamic_pointer_cast<const FactorModel>(load(dir / "model.etalage"));
  ASSERT_NE(back->index(), nullptr);
  EXPECT_EQ(back->index()->kind(), "Plain");
  Scratch scratch;
  ItemScore a[3], b[3];
  ASSERT_EQ(model->recommend({.user = 0}, a, scratch), 3u);
  ASSERT_EQ(back->recommend({.user = 0}, b, scratch), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(a[i].item, b[i].item);
}

TEST_F(Registration, OurOwnIndexLoadsAsAnyIndex) {
  const TempDir dir;
  ItemIndex index(2, IndexMetric::kDot, IndexKind::kExact);
  const std::int64_t ids[] = {4, 7, 9};
  const Array<float> vectors = rows();
  index.add({vectors.data(), 3, 2}, ids);
  EXPECT_EQ(index.kind(), "ItemIndex");
  EXPECT_EQ(index.structure(), IndexKind::kExact);
  save(static_cast<const VectorIndex&>(index), dir / "a.etalage");
  save(index, dir / "b.etalage");
  EXPECT_EQ(testing::read_bytes(dir / "a.etalage"), testing::read_bytes(dir / "b.etalage"));
  EXPECT_EQ(load_vector_index(dir / "a.etalage")->size(), 3u);
  EXPECT_THROW((void)load(dir / "a.etalage"), FormatError);
}

TEST_F(Registration, WhatIsNotRegisteredIsRefusedByNameBeforeAnythingIsWritten) {
  const TempDir dir;
  refuses("Nobody", "register_index", dir, [&] { save(PlainIndex("Nobody", rows(), 2), dir / "x"); });
  refuses("", "register_index", dir, [&] { save(*model_with(""), dir / "x"); });
  refuses("Nobody", "register_index", dir, [&] { save(*model_with("Nobody"), dir / "x"); });
  refuses("Nobody", "register_index", dir, [&] { (void)save_to_memory(*model_with("Nobody")); });
  const auto known = std::make_shared<VectorsModel>(Array<float>(std::vector<float>{1, 3}), rows(), 2);
  const BlendModel blend({{"a", known}, {"b", std::make_shared<Nameless>()}}, {});
  refuses("Nameless", "register_model", dir, [&] { save(blend, dir / "x"); });
  SnapshotParts parts;
  parts.models = {{"als", known, RecommenderSource::Ask::kShopper}, {"own", std::make_shared<Nameless>(), RecommenderSource::Ask::kAnyone}};
  const Snapshot snapshot(parts);
  refuses("Nameless", "register_model", dir, [&] { save(snapshot, dir / "x"); });
}

TEST_F(Registration, AModelAloneIsRegisteredByWhoeverLoadsIt) {
  const std::vector<char> bytes = save_to_memory(Nameless());
  EXPECT_EQ(memory_info(bytes).kind, "Nameless");
  EXPECT_THROW((void)load_from_memory(bytes), FormatError);
}

TEST_F(Registration, AFactoryThatMakesNothingIsAFormatError) {
  const auto tiny = std::make_shared<TinyModel>(Array<float>(std::vector<float>{1, 2, 3}), 1);
  const TempDir dir;
  register_model("Void", [](const StateReader&) { return std::shared_ptr<Recommender>(); });
  register_index("VoidIndex", [](const StateReader&) { return std::shared_ptr<VectorIndex>(); });
  save_state(dir / "model", "Void", [](StateWriter&) {});
  EXPECT_THROW((void)load(dir / "model"), FormatError);
  EXPECT_THROW((void)load_mutable(dir / "model"), FormatError);
  save_state(dir / "index", "VoidIndex", [](StateWriter&) {});
  EXPECT_THROW((void)load_vector_index(dir / "index"), FormatError);
  save(*model_with("VoidIndex"), dir / "indexed");
  EXPECT_THROW((void)load(dir / "indexed"), FormatError);
  EXPECT_THROW((void)load_vector_index(dir / "model"), FormatError);
}

TEST_F(Registration, KindsAreOfOneFactory) {
  EXPECT_NO_THROW(register_index("Plain", &PlainIndex::from_state));
  EXPECT_THROW(register_index("Plain", [](const StateReader&) { return std::shared_ptr<VectorIndex>(); }), std::invalid_argument);
  EXPECT_THROW(register_index("ItemIndex", &PlainIndex::from_state), std::invalid_argument);
  EXPECT_THROW(register_index("ALS", &PlainIndex::from_state), std::invalid_argument);
  EXPECT_THROW(register_model("ItemIndex", &TinyModel::from_state), std::invalid_argument);
  EXPECT_THROW(register_index("", &PlainIndex::from_state), std::invalid_argument);
  EXPECT_THROW(register_index("Plain2", nullptr), std::invalid_argument);
  const auto kinds = index_kinds();
  EXPECT_TRUE(std::is_sorted(kinds.begin(), kinds.end()));
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "Plain"), 1);
  EXPECT_EQ(std::count(kinds.begin(), kinds.end(), "ItemIndex"), 1);
}

}  // namespace
}  // namespace etalage
