// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "etalage/error.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage::io {

/// factory(reader), where a state that the object's own checks refuse is a FormatError like any other, and a field
/// that the factory did not ask for means a newer file.
template <class Factory>
auto make_from(const StateFile& file, Factory&& factory) {
  try {
    auto object = std::forward<Factory>(factory)(file.reader());
    if constexpr (requires { object == nullptr; })
      if (object == nullptr) throw FormatError("the factory of the kind " + file.kind() + " made nothing of a " + file.kind() + " file");
    file.require_all_read();
    return object;
  } catch (const std::invalid_argument& e) {
    throw FormatError("a " + file.kind() + " file holds what no " + file.kind() + " can be: " + e.what());
  } catch (const std::out_of_range& e) {
    throw FormatError("a " + file.kind() + " file holds what no " + file.kind() + " can be: " + e.what());
  } catch (const NumericalError& e) {  // of what is computed while loading, such as a Gram matrix
    throw FormatError("a " + file.kind() + " file holds what no " + file.kind() + " can be: " + e.what());
  }
}

/// A file's object of the kind that is expected.
template <class Object>
auto object_of(const StateFile& file, const char* kind) {
  file.require_kind(kind);
  return make_from(file, [](const StateReader& reader) { return Object::from_state(reader); });
}
template <class Object>
void save_object(const Object& object, const char* kind, const std::filesystem::path& path) {
  save_state(path, kind, [&](StateWriter& w) { object.save_state(w); });
}
template <class Object>
std::vector<char> object_bytes(const Object& object, const char* kind) {
  return save_state_to_memory(kind, [&](StateWriter& w) { object.save_state(w); });
}

}  // namespace etalage::io
