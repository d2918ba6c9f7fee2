// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "etalage/core/array.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage::testing {

/// The least model there is: one score an item. It has one field of every type that a file can hold.
class TinyModel final : public Recommender {
 public:
  TinyModel() = default;
  TinyModel(Array<float> scores, std::int32_t users) : scores_(std::move(scores)), users_(users) {}

  [[nodiscard]] std::string_view kind() const noexcept override { return "Tiny"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return static_cast<std::int32_t>(scores_.size()); }
  std::size_t recommend(const Query&, std::span<ItemScore> out, Scratch&) const override {
    const std::size_t n = std::min(out.size(), scores_.size());
    for (std::size_t i = 0; i < n; ++i) out[i] = {static_cast<std::int32_t>(i), scores_[i]};
    return n;
  }
  void score(const Query&, std::span<const std::int32_t> items, std::span<float> out, Scratch&) const override {
    for (std::size_t i = 0; i < items.size(); ++i) out[i] = scores_[static_cast<std::size_t>(items[i])];
  }
  void save_state(StateWriter& w) const override {
    Recommender::save_state(w);
    w.put_int("users", users_);
    w.put_double("shift", shift);
    w.put_string("title", title);
    w.put_doubles("objective", objective);
    w.put_strings("names", names);
    w.put_array("scores", scores_);
    if (unknown_field) w.put_int("from_the_future", 1);
  }
  static std::shared_ptr<Recommender> from_state(const StateReader& r) {
    auto m = std::make_shared<TinyModel>();
    m->users_ = static_cast<std::int32_t>(r.get_int("users", 0, INT32_MAX));
    m->shift = r.get_double("shift");
    m->title = r.get_string("title");
    m->objective = r.get_doubles("objective");
    m->names = r.get_strings("names");
    m->scores_ = r.get_array<float>("scores");
    m->load_base(r);
    return m;
  }

  [[nodiscard]] const Array<float>& scores() const { return scores_; }
  [[nodiscard]] Array<float>& mutable_scores() { return scores_; }
  double shift = 0;
  std::string title;
  std::vector<double> objective;
  std::vector<std::string> names;
  bool unknown_field = false;

 private:
  Array<float> scores_;
  std::int32_t users_ = 0;
};

/// Four users, five items, string keys, kept rows.
inline TinyModel tiny_model(float first = 0.5f) {
  TinyModel m(Array<float>(std::vector<float>{first, -1.0f, 2.0f, 0.0f, 1e30f}), 4);
  m.shift = -0.1;
  m.title = std::string("a title with spaces,\nlines and \0 bytes \xc3\xa9", 41);
  m.objective = {3.5, -0.0, 1e-308};
  m.names = {"", "x", std::string(100, 'n')};
  const std::vector<std::string> users{"ann", "bob", "", "d d"};
  const std::vector<std::int64_t> items{7, -7, 0, INT64_MAX, 3};
  m.set_ids(std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(users))),
            std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(items))));
  CsrMatrix rows;
  rows.rows = 4;
  rows.cols = 5;
  rows.offsets = Array<std::int64_t>(std::vector<std::int64_t>{0, 2, 2, 3, 5});
  rows.columns = Array<std::int32_t>(std::vector<std::int32_t>{0, 4, 1, 2, 3});
  rows.values = Array<float>(std::vector<float>{1, 2, 3, 4, 5});
  m.set_history(rows);
  return m;
}

inline bool same(const TinyModel& a, const TinyModel& b) { return save_to_memory(a) == save_to_memory(b); }

/// A directory that is gone with the object.
class TempDir {
 public:
  TempDir() {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::temp_directory_path() /
            ("etalage-io-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::vector<char> read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::filesystem::path& path, std::span<const char> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace etalage::testing
