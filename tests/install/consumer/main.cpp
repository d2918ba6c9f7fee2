// SPDX-License-Identifier: Apache-2.0
// Fits, saves, loads and recommends; the model stays at argv[1] for the README's program, which runs next.
#include <etalage/etalage.hpp>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const etalage::BuildInfo info = etalage::build_info();
  std::printf("etalage %s, %s\n", info.version.c_str(), info.simd.c_str());

  const etalage::SyntheticStore store = etalage::make_synthetic_store({.users = 200, .items = 80});
  etalage::AlsModel model({.factors = 16, .iterations = 3});
  model.fit(store.log().interactions());
  etalage::save(model, argv[1]);

  const auto loaded = etalage::load(argv[1]);
  etalage::Scratch scratch;
  etalage::ItemScore before[10];
  etalage::ItemScore after[10];
  const std::size_t found = model.recommend({.user = 3}, before, scratch);
  if (loaded->recommend({.user = 3}, after, scratch) != found || found != 10) return 1;
  for (std::size_t i = 0; i < found; ++i)
    if (before[i].item != after[i].item || before[i].score != after[i].score) return 1;

  // An exception of the library is caught by its type on this side of the border.
  try {
    (void)loaded->similar_items(-1, after, scratch);
    return 1;
  } catch (const std::out_of_range& e) {
    std::printf("refused: %s\n", e.what());
  }
  try {
    (void)etalage::load(argv[0]);  // a program is no model
    return 1;
  } catch (const etalage::FormatError& e) {
    std::printf("refused: %s\n", e.what());
  }
  return 0;
}
