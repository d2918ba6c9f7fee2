// SPDX-License-Identifier: Apache-2.0
// Who wants FAISS: an index of its factory, saved, opened with trust, and inside a model. Includes nothing of FAISS.
#include <etalage/etalage.hpp>
#include <etalage/io/faiss_files.hpp>
#include <etalage/retrieval/faiss_index.hpp>

#include <cstdio>
#include <exception>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

void run(const char* path) {
  using namespace etalage;
  const SyntheticStore store = make_synthetic_store({.users = 400, .items = 300});
  auto als = std::make_shared<AlsModel>(AlsOptions{.factors = 16, .iterations = 2});
  als->fit(store.log().interactions());

  auto index = std::make_shared<FaissIndex>(als->factors(), IndexMetric::kDot, "IVF4,Flat", FaissIndexOptions{.nprobe = 4});
  const Array<float> factors = als->item_factors();
  std::vector<std::int64_t> ids(static_cast<std::size_t>(als->num_items()));
  std::iota(ids.begin(), ids.end(), 0);
  index->add({factors.data(), ids.size(), static_cast<std::size_t>(als->factors())}, ids);
  require(index->built(), "enough items to train on");

  Scratch scratch;
  ItemScore exact[5];
  ItemScore found[5];
  require(als->recommend({.user = 3}, exact, scratch) == 5, "the model answers");
  register_faiss_index();
  als->set_index(index);
  save(*als, path);
  bool refused = false;
  try {
    (void)load(path);
  } catch (const FormatError& e) {
    refused = true;
    std::printf("refused: %s\n", e.what());
  }
  require(refused, "an index of FAISS is not opened without trust");
  const auto loaded = load(path, {.trust_faiss = true});
  require(loaded->recommend({.user = 3}, found, scratch) == 5, "the model answers through FAISS");
  for (int i = 0; i < 5; ++i) require(found[i].item == exact[i].item && found[i].score == exact[i].score, "as it did without");
  std::printf("%zu products by %s\n", index->size(), index->factory().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    run(argv[1]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
