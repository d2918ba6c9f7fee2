// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/spend_ledger.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "etalage/error.hpp"
#include "serving/journal_fixture.hpp"

namespace etalage {
namespace {

using testing::TempDir;

TEST(SpendLedger, ThirtyTwoThreadsNeverOverdraw) {
  const TempDir dir;
  SpendLedger ledger(dir.path(), {.budgets = {5000, 3000}, .block = 64, .files = nullptr});
  std::atomic<std::int64_t> first{0}, second{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 32; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 rng(static_cast<unsigned>(t));
      for (int i = 0; i < 200; ++i) {
        const std::vector<std::int64_t> amounts{static_cast<std::int64_t>(rng() % 4), static_cast<std::int64_t>(rng() % 3)};
        if (!ledger.spend(amounts)) continue;
        first += amounts[0];
        second += amounts[1];
      }
    });
  for (std::thread& t : threads) t.join();
  const std::vector<std::int64_t> spent = ledger.spent();
  EXPECT_EQ(spent[0], first.load());
  EXPECT_EQ(spent[1], second.load());
  EXPECT_LE(spent[0], 5000);
  EXPECT_LE(spent[1], 3000);
  EXPECT_GE(spent[1], 2990);  // 32 x 200 attempts of 1 on average
  ledger.close();
  const SpendLedger again(dir.path(), {.budgets = {5000, 3000}, .block = 64, .files = nullptr});
  EXPECT_EQ(again.spent(), spent);
}

TEST(SpendLedger, AKillLosesAtMostABlockAndNeverOverdraws) {
  const TempDir dir;
  auto* allowed = static_cast<std::atomic<std::int64_t>*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(allowed, MAP_FAILED);
  allowed->store(0);
  constexpr std::int64_t kBudget = 20'000, kBlock = 50;
  std::mt19937 rng(9);
  const int rounds = 25;
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        SpendLedger ledger(dir.path(), {.budgets = {kBudget}, .block = kBlock, .files = nullptr});
        const std::vector<std::int64_t> amount{3};
        for (;;) {
          // Counted before it is asked for, so that a kill in between cannot hide a spend.
          allowed->fetch_add(3);
          if (!ledger.spend(amount)) {
            allowed->fetch_sub(3);
            ::pause();
          }
        }
      } catch (...) {
        ::_exit(3);
      }
    }
    // Mostly in the midst of it, however busy the machine is.
    const std::int64_t target = allowed->load() + static_cast<std::int64_t>(rng() % 900);
    for (int i = 0; i < 4000 && allowed->load() < target && allowed->load() < kBudget; ++i) std::this_thread::sleep_for(std::chrono::microseconds(250));
    std::this_thread::sleep_for(std::chrono::microseconds(rng() % 500));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  }
  SpendLedger ledger(dir.path(), {.budgets = {kBudget}, .block = kBlock, .files = nullptr});
  const std::int64_t counted = ledger.spent()[0];
  EXPECT_LE(counted, kBudget);
  EXPECT_GT(allowed->load(), 0);
  // At most the one spend under way in each life was counted by the child and not made; at most a block a life is lost.
  EXPECT_LE(allowed->load(), counted + 3 * rounds);
  EXPECT_GE(allowed->load(), counted - kBlock * rounds);
  ::munmap(allowed, 4096);
}

TEST(SpendLedger, DamageIsAnErrorATornEndIsNot) {
  const TempDir dir;
  const SpendLedgerOptions options{.budgets = {1000}, .block = 10, .files = nullptr};
  {
    SpendLedger ledger(dir.path(), options);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(ledger.spend(std::vector<std::int64_t>{10}));
    // What a crash would leave: the destructor's tidy file is thrown away below.
    std::filesystem::copy_file(dir.path() / "spend.ledger", dir.path() / "crashed");
  }
  const auto place = [&](auto&& change) {
    std::filesystem::copy_file(dir.path() / "crashed", dir.path() / "spend.ledger", std::filesystem::copy_options::overwrite_existing);
    change(dir.path() / "spend.ledger");
  };
  place([](const auto&) {});
  EXPECT_EQ(SpendLedger(dir.path(), options).spent()[0], 50);
  place([](const auto& path) { std::filesystem::resize_file(path, std::filesystem::file_size(path) - 7); });
  EXPECT_EQ(SpendLedger(dir.path(), options).spent()[0], 40);
  place([](const auto& path) {
    std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(70);
    f.put('\x55');
  });
  EXPECT_THROW(SpendLedger(dir.path(), options), FormatError);
  place([](const auto&) {});
  EXPECT_THROW(SpendLedger(dir.path(), {.budgets = {10, 10}, .block = 0, .files = nullptr}), FormatError);
  EXPECT_THROW(SpendLedger(dir.path(), {.budgets = {-1}, .block = 0, .files = nullptr}), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
