// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "etalage/extend/state.hpp"

namespace etalage {

/// Writes an array that comes again, the same memory under another name, as a reference to the first: "same/<name>" holds
/// the name of that one. For models made of models, which share histories and keys.
class SharingWriter final : public ScopedWriter {
 public:
  explicit SharingWriter(StateWriter& outer) : ScopedWriter(outer, "") {}
  void put_bytes(const std::string& name, DType type, const void* data, std::size_t count,
                 std::shared_ptr<const void> owner) override {
    if (count != 0) {
      const auto [at, first] = written_.emplace(std::make_tuple(data, type, count), name);
      if (!first) {
        put_string("same/" + name, at->second);
        return;
      }
    }
    ScopedWriter::put_bytes(name, type, data, count, std::move(owner));
  }

 private:
  std::map<std::tuple<const void*, DType, std::size_t>, std::string> written_;
};

/// Reads what SharingWriter wrote.
class SharingReader final : public ScopedReader {
 public:
  explicit SharingReader(const StateReader& outer) : ScopedReader(outer, "") {}
  [[nodiscard]] bool has(const std::string& name) const override { return ScopedReader::has(name) || ScopedReader::has("same/" + name); }
  [[nodiscard]] Bytes get_bytes(const std::string& name) const override {
    const std::string same = "same/" + name;
    return ScopedReader::get_bytes(ScopedReader::has(same) ? get_string(same) : name);
  }
};

}  // namespace etalage
