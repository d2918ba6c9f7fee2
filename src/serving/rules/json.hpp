// SPDX-License-Identifier: Apache-2.0
#pragma once

// The library neither prints nor aborts, so neither does what it reads JSON with.
#define JSON_NO_IO
#define JSON_ASSERT(x) static_cast<void>(0)
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace etalage::serving {

using Json = nlohmann::json;

/// std::invalid_argument "path: message".
[[noreturn]] void fail_at(const std::string& path, const std::string& message);

/// Parses a text; a slip of syntax names line and column, a field given twice or nesting beyond 64 its path. All are
/// std::invalid_argument. `what` stands for the whole text in messages.
Json parse_json(std::string_view text, const std::string& what);

/// A value and the way to it; every getter fails with that way, what was found and the rule.
class JsonValue {
 public:
  JsonValue(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const Json& raw() const noexcept { return *value_; }
  [[noreturn]] void fail(const std::string& rule) const;  ///< "path: is <value>, must be <rule>"

  void require_object() const;
  [[nodiscard]] bool has(const char* key) const { return value_->contains(key); }
  [[nodiscard]] JsonValue at(const std::string& key) const;
  [[nodiscard]] JsonValue at(std::size_t index) const;
  [[nodiscard]] std::size_t array_size() const;  ///< fails unless it is an array
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] double number() const;
  [[nodiscard]] std::int64_t integer(std::int64_t min, std::int64_t max) const;
  [[nodiscard]] std::string text() const;                 ///< a non-empty string
  [[nodiscard]] std::string key() const;                  ///< a product's key: string or integer
  [[nodiscard]] std::vector<std::string> texts() const;   ///< a string or a non-empty array of them
  /// Fails for a field of this object that is not in `known`.
  void only(std::initializer_list<std::string_view> known) const;

 private:
  const Json* value_;
  std::string path_;
};

/// A string as JSON text; std::invalid_argument naming the argument when it is not UTF-8.
std::string quoted(const std::string& text, const char* argument);
/// The shortest text that reads back as the same double.
std::string number_text(double value);

}  // namespace etalage::serving
