// SPDX-License-Identifier: Apache-2.0
#include <etalage/etalage.hpp>

#include <cstdio>

int main() {
  const etalage::BuildInfo info = etalage::build_info();
  std::printf("etalage %s, %s\n", info.version.c_str(), info.simd.c_str());
  const etalage::Array<std::int32_t> items(3);
  const std::int32_t denied[] = {1};
  const auto filter = etalage::ItemFilter::deny(denied);
  if (items.size() != 3 || filter.allows(1) || !filter.allows(2)) return 1;
  try {
    etalage::Array<std::int64_t> offsets(1);
    const etalage::Sequences sequences(offsets, items);
    return 1;
  } catch (const std::invalid_argument& e) {
    std::printf("refused: %s\n", e.what());
  }
  return 0;
}
