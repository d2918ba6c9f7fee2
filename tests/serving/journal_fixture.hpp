// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/serving/journal.hpp"
#include "io/tiny_model.hpp"

namespace etalage::testing {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string text_of_bytes(std::span<const std::byte> b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

/// A payload that says which event it is, of a size of its own.
inline std::string payload_of(std::uint64_t sequence) {
  return "event " + std::to_string(sequence) + std::string(static_cast<std::size_t>(sequence * 7 % 50), static_cast<char>('a' + sequence % 26));
}

/// What a journal replayed: state records, and events by sequence.
struct Replayed {
  std::vector<std::string> state;
  std::map<std::uint64_t, std::string> events;
  JournalReplay sink() {
    JournalReplay r;
    r.state = [this](std::span<const std::byte> b) { state.push_back(text_of_bytes(b)); };
    r.event = [this](std::uint64_t s, std::span<const std::byte> b) { events.emplace(s, text_of_bytes(b)); };
    return r;
  }
  /// The last sequence when events are payload_of() from the state's end on without a hole; the state, if any, is one
  /// record "through N". Returns -1 otherwise.
  [[nodiscard]] std::int64_t whole() const {
    std::uint64_t expected = 1;
    if (!state.empty()) {
      if (state.size() != 1 || !state[0].starts_with("through ")) return -1;
      expected = std::stoull(state[0].substr(8)) + 1;
    }
    for (const auto& [sequence, text] : events)
      if (sequence != expected++ || text != payload_of(sequence)) return -1;
    return static_cast<std::int64_t>(expected - 1);
  }
};

/// A compaction that remembers how far it reaches.
inline std::uint64_t compact(Journal& journal) {
  Replayed past;
  return journal.compact(past.sink(), [&](const Journal::Put& put) {
    const std::string text = "through " + std::to_string(past.whole());
    put(bytes_of(text));
  });
}

}  // namespace etalage::testing
