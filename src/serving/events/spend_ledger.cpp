// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/spend_ledger.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "serving/events/fork_guard.hpp"

namespace etalage {
namespace {

constexpr const char* kName = "spend.ledger";
constexpr std::uint32_t kLedgerMagic = 0x4C50'5345;  // "ESPL"

/// One a change of what is reserved, little-endian as all files of the library; the number in the sequence tells a lost record.
struct SpendRecord {
  std::uint32_t magic;
  std::uint32_t budget;
  std::int64_t reserved;
  std::uint64_t number;
  std::uint64_t checksum;
};
static_assert(sizeof(SpendRecord) == 32);

std::uint64_t checksum_of(const SpendRecord& r) { return XXH3_64bits(&r, offsetof(SpendRecord, checksum)); }

}  // namespace

void SpendLedgerOptions::validate() const {
  detail::require(!budgets.empty() && budgets.size() <= 1024, "budgets.size()", budgets.size(), "in [1, 1024]");
  for (std::size_t b = 0; b < budgets.size(); ++b) detail::require(budgets[b] >= 0, ("budgets[" + std::to_string(b) + "]").c_str(), budgets[b], ">= 0");
  require_options(*this);
}

struct SpendLedger::Impl {
  struct Budget {
    std::int64_t limit = 0;
    std::int64_t block = 1;
    std::atomic<std::int64_t> reserved{0};   ///< on disk
    std::atomic<std::int64_t> available{0};  ///< of that, in memory and not yet spent
  };

  std::filesystem::path path;
  std::shared_ptr<JournalFiles> files;
  std::shared_ptr<void> lock;
  std::unique_ptr<JournalFile> file;
  std::vector<Budget> budgets;
  std::mutex writing;
  std::uint64_t end = 0;
  std::uint64_t number = 0;
  std::atomic<bool> closed{false};
  serving::ForkGuard process;

  void append(JournalFile& to, std::uint64_t& at, std::size_t budget, std::int64_t reserved) {
    SpendRecord r{kLedgerMagic, static_cast<std::uint32_t>(budget), reserved, number, 0};
    r.checksum = checksum_of(r);
    to.write(at, std::as_bytes(std::span(&r, 1)));
    at += sizeof(SpendRecord);
    ++number;
  }

  /// What the file says, its torn last record aside.
  std::vector<std::int64_t> recover() {
    std::vector<std::int64_t> reserved(budgets.size());
    const auto names = files->list(path.parent_path());
    if (std::find(names.begin(), names.end(), kName) == names.end()) return reserved;
    const auto old = files->open(path, JournalFiles::Mode::kRead);
    const std::uint64_t size = old->size();
    std::vector<bool> seen(budgets.size());
    const auto fail = [&](std::uint64_t at, const std::string& what) { throw FormatError(path.string() + ": record " + std::to_string(at) + " " + what); };
    for (std::uint64_t i = 0; i * sizeof(SpendRecord) < size; ++i) {
      SpendRecord r{};
      const std::size_t read = old->read(i * sizeof(SpendRecord), std::as_writable_bytes(std::span(&r, 1)));
      const bool whole = read == sizeof(SpendRecord) && r.magic == kLedgerMagic && r.checksum == checksum_of(r);
      if (!whole) {
        if ((i + 1) * sizeof(SpendRecord) >= size && i > 0) break;
        fail(i, "is damaged");
      }
      if (r.number != i) fail(i, "is numbered " + std::to_string(r.number) + ": records are missing");
      if (r.budget >= budgets.size()) fail(i, "is of budget " + std::to_string(r.budget) + ", and " + std::to_string(budgets.size()) + " budgets were given");
      if (r.reserved < 0) fail(i, "reserves " + std::to_string(r.reserved));
      reserved[r.budget] = r.reserved;
      seen[r.budget] = true;
    }
    // The file begins with one record of each budget and is renamed into place whole.
    if (!std::all_of(seen.begin(), seen.end(), [](bool s) { return s; })) throw FormatError(path.string() + ": has records of fewer budgets than the " + std::to_string(budgets.size()) + " that were given");
    return reserved;
  }

  /// A new file with one record a budget in place of the old one.
  void rewrite(const std::vector<std::int64_t>& reserved) {
    const std::filesystem::path fresh = path.string() + ".new";
    file.reset();
    {
      const auto to = files->open(fresh, JournalFiles::Mode::kCreate);
      end = number = 0;
      for (std::size_t b = 0; b < reserved.size(); ++b) append(*to, end, b, reserved[b]);
      to->sync();
    }
    files->rename(fresh, path);
    files->sync_directory(path.parent_path());
  }

  /// Makes at least `wanted` available, as far as the limit goes; false when it does not go so far.
  bool reserve(std::size_t budget, std::int64_t wanted) {
    const std::lock_guard guard(writing);
    if (closed.load()) throw std::logic_error("spend() after close()");
    Budget& b = budgets[budget];
    const std::int64_t here = b.available.load();
    if (here >= wanted) return true;  // another thread was first
    const std::int64_t before = b.reserved.load();
    const std::int64_t left = std::max<std::int64_t>(0, b.limit - before);
    const std::int64_t missing = wanted - here;
    if (missing > left) return false;
    const std::int64_t more = std::min(left, std::max(missing, b.block));
    std::uint64_t at = end;
    const std::uint64_t numbered = number;
    try {
      append(*file, at, budget, before + more);
      file->sync();
    } catch (...) {
      // Part of the record may be there: the next one is written over it.
      number = numbered;
      throw;
    }
    end = at;
    b.reserved.store(before + more);
    b.available.fetch_add(more);
    return true;
  }
};

SpendLedger::SpendLedger(const std::filesystem::path& directory, SpendLedgerOptions options) : impl_(std::make_unique<Impl>()) {
  options.validate();
  impl_->files = options.files ? options.files : system_journal_files();
  impl_->path = directory / kName;
  impl_->budgets = std::vector<Impl::Budget>(options.budgets.size());
  for (std::size_t b = 0; b < options.budgets.size(); ++b) {
    impl_->budgets[b].limit = options.budgets[b];
    impl_->budgets[b].block = options.block > 0 ? options.block : std::max<std::int64_t>(1, options.budgets[b] / 1000);
  }
  impl_->files->make_directory(directory);
  impl_->lock = impl_->files->lock(directory / "spend.lock");
  const std::vector<std::int64_t> reserved = impl_->recover();
  impl_->rewrite(reserved);
  impl_->file = impl_->files->open(impl_->path, JournalFiles::Mode::kReadWrite);
  for (std::size_t b = 0; b < reserved.size(); ++b) impl_->budgets[b].reserved.store(reserved[b]);
}

SpendLedger::SpendLedger(SpendLedger&&) noexcept = default;
SpendLedger& SpendLedger::operator=(SpendLedger&& other) noexcept {
  if (this != &other) {
    SpendLedger gone(std::move(*this));
    impl_ = std::move(other.impl_);
  }
  return *this;
}

SpendLedger::~SpendLedger() {
  try {
    if (impl_ != nullptr) close();
  } catch (const std::exception&) {
    // The reserve stays counted as spent, which is safe.
  }
}

bool SpendLedger::spend(std::span<const std::int64_t> amounts) {
  Impl& impl = *impl_;
  if (impl.process.in_child()) throw std::logic_error("the ledger belongs to the parent process: a forked child must open one of its own");
  if (impl.closed.load()) throw std::logic_error("spend() after close()");
  detail::require(amounts.size() == impl.budgets.size(), "amounts.size()", amounts.size(), "one for each budget");
  for (const std::int64_t a : amounts) detail::require(a >= 0, "amounts", a, ">= 0");
  const auto give_back = [&](std::size_t count) {
    for (std::size_t b = 0; b < count; ++b) impl.budgets[b].available.fetch_add(amounts[b]);
  };
  for (std::size_t b = 0; b < amounts.size(); ++b) {
    std::atomic<std::int64_t>& available = impl.budgets[b].available;
    std::int64_t here = available.load();
    for (;;) {
      if (here >= amounts[b]) {
        if (available.compare_exchange_weak(here, here - amounts[b])) break;
        continue;
      }
      bool more = false;
      try {
        more = impl.reserve(b, amounts[b]);
      } catch (...) {
        give_back(b);
        throw;
      }
      if (!more) {
        give_back(b);
        return false;
      }
      here = available.load();
    }
  }
  return true;
}

std::vector<std::int64_t> SpendLedger::spent() const {
  std::vector<std::int64_t> out;
  for (const Impl::Budget& b : impl_->budgets) out.push_back(b.reserved.load() - b.available.load());
  return out;
}

std::vector<std::int64_t> SpendLedger::reserved() const {
  std::vector<std::int64_t> out;
  for (const Impl::Budget& b : impl_->budgets) out.push_back(b.reserved.load());
  return out;
}

void SpendLedger::close() {
  Impl& impl = *impl_;
  if (impl.process.in_child()) return;  // what is reserved is the parent's
  if (impl.closed.exchange(true)) return;
  const std::lock_guard guard(impl.writing);
  // A spend() that is under way finds nothing any more; what it gives back counts as spent, which is safe.
  std::vector<std::int64_t> used;
  for (Impl::Budget& b : impl.budgets) used.push_back(b.reserved.load() - b.available.exchange(0));
  impl.rewrite(used);
  for (std::size_t b = 0; b < used.size(); ++b) impl.budgets[b].reserved.store(used[b]);
  impl.lock.reset();
}

}  // namespace etalage
