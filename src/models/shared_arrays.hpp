// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "etalage/extend/state.hpp"
#include "etalage/error.hpp"

namespace etalage {

/// Writes an array that comes again, the same memory under another name, as a reference to the first: "same/<name>" holds
/// the name of that one. For models made of models, which share histories and keys.
class SharingWriter final : public StateWriter {
 public:
  explicit SharingWriter(StateWriter& outer) : outer_(outer) {}
  void put_int(const std::string& name, std::int64_t value) override { outer_.put_int(name, value); }
  void put_double(const std::string& name, double value) override { outer_.put_double(name, value); }
  void put_string(const std::string& name, std::string_view value) override { outer_.put_string(name, value); }
  void put_doubles(const std::string& name, std::span<const double> values) override { outer_.put_doubles(name, values); }
  void put_strings(const std::string& name, std::span<const std::string> values) override { outer_.put_strings(name, values); }
  void put_bytes(const std::string& name, DType type, const void* data, std::size_t count,
                 std::shared_ptr<const void> owner) override {
    if (count != 0) {
      const auto [at, first] = written_.emplace(std::make_tuple(data, type, count), name);
      if (!first) {
        outer_.put_string("same/" + name, at->second);
        return;
      }
    }
    outer_.put_bytes(name, type, data, count, std::move(owner));
  }
  void require_model(std::string_view kind) const override { outer_.require_model(kind); }
  void require_index(std::string_view kind) const override { outer_.require_index(kind); }

 private:
  StateWriter& outer_;
  std::map<std::tuple<const void*, DType, std::size_t>, std::string> written_;
};

/// Reads what SharingWriter wrote.
class SharingReader final : public StateReader {
 public:
  using StateReader::get_int;
  explicit SharingReader(const StateReader& outer) : outer_(outer) {}
  [[nodiscard]] bool has(const std::string& name) const override { return outer_.has(name) || outer_.has("same/" + name); }
  [[nodiscard]] std::int64_t get_int(const std::string& name) const override { return outer_.get_int(name); }
  [[nodiscard]] double get_double(const std::string& name) const override { return outer_.get_double(name); }
  [[nodiscard]] std::string get_string(const std::string& name) const override { return outer_.get_string(name); }
  [[nodiscard]] std::vector<double> get_doubles(const std::string& name) const override { return outer_.get_doubles(name); }
  [[nodiscard]] std::vector<std::string> get_strings(const std::string& name) const override { return outer_.get_strings(name); }
  [[nodiscard]] Bytes get_bytes(const std::string& name) const override {
    const std::string same = "same/" + name;
    return outer_.get_bytes(outer_.has(same) ? outer_.get_string(same) : name);
  }
  [[nodiscard]] bool verify() const noexcept override { return outer_.verify(); }
  [[nodiscard]] int num_threads() const noexcept override { return outer_.num_threads(); }
  [[nodiscard]] std::shared_ptr<Recommender> make_model(std::string_view kind, const StateReader& state) const override {
    return outer_.make_model(kind, state);
  }
  [[nodiscard]] std::shared_ptr<VectorIndex> make_index(std::string_view kind, const StateReader& state) const override {
    return outer_.make_index(kind, state);
  }
  [[noreturn]] void fail(const std::string& name, const std::string& found_and_expected) const override {
    outer_.fail(name, found_and_expected);
    throw FormatError(found_and_expected);  // not reached; the compiler does not see it through a virtual call
  }

 private:
  const StateReader& outer_;
};

}  // namespace etalage
