// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <vector>

#include "trees/json.hpp"
#include "trees/tree_builder.hpp"

namespace etalage::trees {

/// Fields of a JSON object; FormatError names what is missing or of another type.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, const TreeBuilder& builder, bool in_tree = false) : object_(object), builder_(builder), in_tree_(in_tree) {
    if (!object.is_object()) fail("found a JSON value where an object belongs");
  }

  [[noreturn]] void fail(const std::string& what) const {
    if (in_tree_) builder_.fail_tree(what);
    builder_.fail(what);
  }
  [[nodiscard]] const TreeBuilder& builder() const noexcept { return builder_; }
  [[nodiscard]] bool has(const char* name) const { return object_.contains(name); }
  [[nodiscard]] const nlohmann::json& at(const char* name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) fail(std::string("field ") + name + " is missing");
    return *found;
  }
  [[nodiscard]] JsonFields object(const char* name) const { return {at(name), builder_, in_tree_}; }
  [[nodiscard]] const nlohmann::json& array(const char* name) const {
    const nlohmann::json& v = at(name);
    if (!v.is_array()) fail(std::string(name) + " must be an array");
    return v;
  }
  [[nodiscard]] std::string text(const char* name) const {
    const nlohmann::json& v = at(name);
    if (!v.is_string()) fail(std::string(name) + " must be text");
    return v.get<std::string>();
  }
  [[nodiscard]] double number(const char* name) const {
    const nlohmann::json& v = at(name);
    if (!v.is_number()) fail(std::string(name) + " must be a number");
    return v.get<double>();
  }
  /// A whole number, also one in quotes, as XGBoost writes its parameters.
  [[nodiscard]] std::int64_t integer(const char* name, std::int64_t low, std::int64_t high) const {
    const nlohmann::json& v = at(name);
    std::int64_t out = 0;
    bool ok = v.is_number_integer();
    if (v.is_number_unsigned()) {
      ok = v.get<std::uint64_t>() <= std::uint64_t{1} << 62;
      if (ok) out = static_cast<std::int64_t>(v.get<std::uint64_t>());
    } else if (ok) {
      out = v.get<std::int64_t>();
    } else if (v.is_string()) {
      const auto& s = v.get_ref<const std::string&>();
      const auto r = std::from_chars(s.data(), s.data() + s.size(), out);
      ok = r.ec == std::errc() && r.ptr == s.data() + s.size();
    }
    if (!ok || out < low || out > high)
      fail(std::string(name) + " is " + v.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 40) + ", must be a whole number in [" +
           std::to_string(low) + ", " + std::to_string(high) + "]");
    return out;
  }
  [[nodiscard]] std::vector<double> numbers(const char* name, std::size_t count) const {
    std::vector<double> out;
    for (const nlohmann::json& v : sized(name, count)) {
      if (!v.is_number()) fail(std::string(name) + " must hold numbers");
      out.push_back(v.get<double>());
    }
    return out;
  }
  [[nodiscard]] std::vector<std::int64_t> integers(const char* name, std::size_t count) const {
    std::vector<std::int64_t> out;
    for (const nlohmann::json& v : sized(name, count)) {
      if (v.is_boolean()) out.push_back(v.get<bool>() ? 1 : 0);
      else if (v.is_number_integer() && v.get<std::int64_t>() >= -(std::int64_t{1} << 40)) out.push_back(v.get<std::int64_t>());
      else fail(std::string(name) + " must hold whole numbers");
    }
    return out;
  }

 private:
  [[nodiscard]] const nlohmann::json& sized(const char* name, std::size_t count) const {
    const nlohmann::json& v = array(name);
    if (v.size() != count) fail(std::string(name) + " has " + std::to_string(v.size()) + " entries, expected " + std::to_string(count));
    return v;
  }
  const nlohmann::json& object_;
  const TreeBuilder& builder_;
  bool in_tree_;
};

}  // namespace etalage::trees
