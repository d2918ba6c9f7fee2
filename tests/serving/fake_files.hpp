// SPDX-License-Identifier: Apache-2.0
// A disk in memory that forgets: what was not flushed is lost, in part and in any order, when the power goes.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "etalage/serving/journal.hpp"

namespace etalage::testing {

class FakeDisk final : public JournalFiles {
 public:
  std::size_t capacity = std::size_t{1} << 40;  ///< bytes; writing beyond it is ENOSPC after as much as fits
  int failing_syncs = 0;                         ///< the next so many flushes fail, and what they should have flushed is lost
  std::function<void()> before_call = {};        ///< on every change, for power losses in the midst of one

  struct Write {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
    std::int64_t truncate_to = -1;
  };
  struct Content {
    std::vector<std::byte> now;
    std::vector<std::byte> safe;
    std::vector<Write> unsafe;
  };
  using Names = std::map<std::string, std::shared_ptr<Content>>;

  void make_directory(const std::filesystem::path&) override {}
  std::vector<std::string> list(const std::filesystem::path&) override {
    const std::lock_guard g(mutex);
    std::vector<std::string> out;
    for (const auto& [name, _] : names) out.push_back(name);
    return out;
  }
  std::unique_ptr<JournalFile> open(const std::filesystem::path& path, Mode mode) override {
    const std::lock_guard g(mutex);
    const std::string name = path.filename().string();
    if (mode == Mode::kCreate) {
      change();
      names[name] = std::make_shared<Content>();
    } else if (!names.contains(name)) {
      raise(ENOENT);
    }
    return std::make_unique<File>(*this, names[name]);
  }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const std::lock_guard g(mutex);
    change();
    names[to.filename().string()] = names.at(from.filename().string());
    names.erase(from.filename().string());
  }
  void remove(const std::filesystem::path& path) override {
    const std::lock_guard g(mutex);
    change();
    names.erase(path.filename().string());
  }
  void sync_directory(const std::filesystem::path&) override {
    const std::lock_guard g(mutex);
    change();
    safe_names = names;
    history.clear();
  }
  std::shared_ptr<void> lock(const std::filesystem::path&) override { return std::make_shared<int>(0); }

  /// The power goes: of unflushed writes any subset survives, each perhaps in part; of unflushed names some prefix.
  void lose_power(std::mt19937& rng) {
    const std::lock_guard g(mutex);
    names = history.empty() || rng() % 2 == 0 ? safe_names : history[rng() % history.size()];
    history.clear();
    safe_names = names;
    for (auto& [_, content] : names) {
      std::shuffle(content->unsafe.begin(), content->unsafe.end(), rng);
      for (Write& w : content->unsafe) {
        const auto fate = rng() % 3;
        if (fate == 0) continue;
        if (fate == 1 && !w.bytes.empty()) w.bytes.resize(rng() % w.bytes.size());
        apply(content->safe, w);
      }
      content->unsafe.clear();
      content->now = content->safe;
    }
    before_call = {};
  }

  /// What lies on the disk, by name; and other files in its place, all of them flushed.
  [[nodiscard]] std::map<std::string, std::vector<std::byte>> files() {
    const std::lock_guard g(mutex);
    std::map<std::string, std::vector<std::byte>> out;
    for (const auto& [name, content] : names) out[name] = content->now;
    return out;
  }
  void put(const std::map<std::string, std::vector<std::byte>>& content) {
    const std::lock_guard g(mutex);
    names.clear();
    for (const auto& [name, bytes] : content) names[name] = std::make_shared<Content>(Content{bytes, bytes, {}});
    safe_names = names;
    history.clear();
  }

  /// The same files on another disk.
  [[nodiscard]] std::shared_ptr<FakeDisk> clone() {
    const std::lock_guard g(mutex);
    auto other = std::make_shared<FakeDisk>();
    for (const auto& [name, content] : names) other->names[name] = std::make_shared<Content>(*content);
    return other;
  }

  [[nodiscard]] std::size_t used() const {
    std::size_t n = 0;
    for (const auto& [_, content] : names) n += content->now.size();
    return n;
  }
  void shrink_to_used() {
    const std::lock_guard g(mutex);
    capacity = used();
  }
  void set_capacity(std::size_t bytes) {
    const std::lock_guard g(mutex);
    capacity = bytes;
  }

 private:
  class File final : public JournalFile {
   public:
    File(FakeDisk& disk, std::shared_ptr<Content> content) : disk_(disk), content_(std::move(content)) {}
    std::uint64_t size() const override {
      const std::lock_guard g(disk_.mutex);
      return content_->now.size();
    }
    std::size_t read(std::uint64_t offset, std::span<std::byte> out) const override {
      const std::lock_guard g(disk_.mutex);
      const auto& bytes = content_->now;
      if (offset >= bytes.size()) return 0;
      const std::size_t n = std::min(out.size(), bytes.size() - static_cast<std::size_t>(offset));
      std::memcpy(out.data(), bytes.data() + offset, n);
      return n;
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
      const std::lock_guard g(disk_.mutex);
      disk_.change();
      // Pages go to the disk one by one.
      for (std::size_t at = 0; at < bytes.size(); at += 64) {
        const auto piece = bytes.subspan(at, std::min<std::size_t>(64, bytes.size() - at));
        const std::size_t end = static_cast<std::size_t>(offset) + at + piece.size();
        if (end > content_->now.size() && disk_.used() + end - content_->now.size() > disk_.capacity) raise(ENOSPC);
        Write w{offset + at, {piece.begin(), piece.end()}};
        apply(content_->now, w);
        content_->unsafe.push_back(std::move(w));
      }
    }
    void sync() override {
      const std::lock_guard g(disk_.mutex);
      disk_.change();
      if (disk_.failing_syncs > 0) {
        --disk_.failing_syncs;
        content_->unsafe.clear();  // as Linux does: the pages are clean afterwards and were never written
        raise(EIO);
      }
      content_->safe = content_->now;
      content_->unsafe.clear();
    }
    void truncate(std::uint64_t size) override {
      const std::lock_guard g(disk_.mutex);
      disk_.change();
      Write w{0, {}, static_cast<std::int64_t>(size)};
      apply(content_->now, w);
      content_->unsafe.push_back(w);
    }

   private:
    FakeDisk& disk_;
    std::shared_ptr<Content> content_;
  };

  static void apply(std::vector<std::byte>& to, const Write& w) {
    if (w.truncate_to >= 0) {
      to.resize(static_cast<std::size_t>(w.truncate_to));
      return;
    }
    const std::size_t end = static_cast<std::size_t>(w.offset) + w.bytes.size();
    if (to.size() < end) to.resize(end);
    std::copy(w.bytes.begin(), w.bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(w.offset));
  }
  [[noreturn]] static void raise(int error) {
    throw std::filesystem::filesystem_error("fake disk", std::error_code(error, std::generic_category()));
  }
  void change() {
    if (before_call) before_call();
    history.push_back(names);
  }

  std::mutex mutex;
  Names names;
  Names safe_names;
  std::vector<Names> history;  // names after each change since the last flush of the directory
};

}  // namespace etalage::testing
