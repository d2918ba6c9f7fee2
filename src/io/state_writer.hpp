// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "etalage/extend/state.hpp"
#include "io/format.hpp"
#include "io/structure.hpp"

namespace etalage::io {

/// Collects what an object says of itself; arrays by reference. write() lays it out.
class CollectingWriter final : public StateWriter {
 public:
  void put_int(const std::string& name, std::int64_t value) override;
  void put_double(const std::string& name, double value) override;
  void put_string(const std::string& name, std::string_view value) override;
  void put_doubles(const std::string& name, std::span<const double> values) override;
  void put_strings(const std::string& name, std::span<const std::string> values) override;
  void put_bytes(const std::string& name, DType type, const void* data, std::size_t count,
                 std::shared_ptr<const void> owner) override;
  void require_model(std::string_view kind) const override;
  void require_index(std::string_view kind) const override;

  /// Calls begin(total bytes) and then out() with the file's bytes in order.
  void write(std::string_view kind, const std::function<void(std::uint64_t)>& begin,
             const std::function<void(std::span<const std::byte>)>& out) const;

 private:
  struct Piece {
    std::string name;
    DType type;
    std::span<const std::byte> bytes;
    std::size_t count;
    std::shared_ptr<const void> owner;
  };
  void claim(const std::string& name);
  void put(const std::string& name, Value value);

  std::unordered_set<std::string> names_;
  Structure values_;
  std::vector<Piece> arrays_;
};

}  // namespace etalage::io
