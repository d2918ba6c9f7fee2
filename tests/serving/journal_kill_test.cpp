// SPDX-License-Identifier: Apache-2.0
// A process that is killed at any moment loses nothing that was acknowledged.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "serving/journal_fixture.hpp"

namespace etalage {
namespace {

using namespace testing;

/// Rounds of a child that appends and compacts until it is killed; each round goes on where the last one ended.
void kill_again_and_again(JournalOptions options, int rounds, unsigned seed) {
  const TempDir dir;
  // What the child was promised, where its death does not take it away.
  auto* acknowledged = static_cast<std::atomic<std::uint64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(acknowledged, MAP_FAILED);
  acknowledged->store(0);
  std::mt19937 rng(seed);
  std::int64_t reached = 0;
  int grew = 0;
  int torn = 0;
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        Journal j(dir.path(), options, {});
        for (std::uint64_t i = 1;; ++i) {
          j.append(bytes_of(payload_of(j.last_sequence() + 1)));
          acknowledged->store(j.durable_through());
          if (i % 97 == 0) compact(j);
        }
      } catch (...) {
        ::_exit(3);
      }
    }
    // Sometimes before it has done anything, mostly in the midst of it, however busy the machine is.
    const std::uint64_t target = acknowledged->load() + rng() % 150;
    for (int i = 0; i < 400 && acknowledged->load() < target; ++i) std::this_thread::sleep_for(std::chrono::microseconds(250));
    std::this_thread::sleep_for(std::chrono::microseconds(rng() % 2000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, with " << WEXITSTATUS(status);
    Replayed found;
    const Journal j(dir.path(), options, found.sink());
    const std::int64_t last = found.whole();
    ASSERT_GE(last, static_cast<std::int64_t>(acknowledged->load())) << "round " << round << ": acknowledged events are gone";
    ASSERT_GE(last, reached);
    grew += last > reached;
    torn += !j.recovery().cut_reason.empty();
    reached = last;
  }
  ::munmap(acknowledged, 4096);
  EXPECT_GT(grew, rounds / 4) << "the children hardly got anywhere: the test shows little; torn tails: " << torn;
}

TEST(JournalKill, EveryEventSurvives) {
  JournalOptions o;
  o.durability = Durability::kEveryEvent;
  o.segment_bytes = 8192;
  kill_again_and_again(o, 110, 1);
}

TEST(JournalKill, EveryIntervalSurvives) {
  JournalOptions o;
  o.interval_ms = 1;
  o.segment_bytes = 65536;
  o.buffer_bytes = 4096;
  kill_again_and_again(o, 110, 2);
}

}  // namespace
}  // namespace etalage
