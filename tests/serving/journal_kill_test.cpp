// SPDX-License-Identifier: Apache-2.0
// A process that is killed at any moment loses nothing that was acknowledged.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <new>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "serving/engine_fixture.hpp"
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

EngineOptions flushed_often() {
  EngineOptions o;
  o.impressions.max_bytes = std::uint64_t{64} << 20;
  o.events.journal.interval_ms = 1;
  o.events.journal.segment_bytes = 65536;
  o.events.journal.buffer_bytes = 4096;
  return o;
}

const Exploration kDrawn{.policy = PlacePolicy::kSoftmax, .temperature = 0.3, .slots = {0, 1}, .pool = 6};

/// What a child was promised.
struct MadeDurable {
  std::atomic<std::uint64_t> request{0};  // the newest number
  std::atomic<std::uint64_t> answers{0};  // with that number or a smaller one
};

/// A process that shows, ties a click to each answer, and says of each number that was made durable so. Never returns.
[[noreturn]] void show_until_killed(const std::filesystem::path& folder, MadeDurable& acknowledged) {
  try {
    Engine engine(folder, flushed_often());
    engine.publish(shop_snapshot());
    engine.explore(Placement::kHome, kDrawn);
    const Predicate cheap = Predicate::price(0, 60);
    const std::size_t before = engine.impressions().size();
    for (int n = 1;; ++n) {
      const std::string user = numbered("u", n % kUsers);
      const Answer a = engine.recommend({.user = user, .k = 3, .filter = &cheap, .anchors = {"i7"}, .exclude_seen = false, .log = true});
      engine.observe({user, view_of(a.items[1].item), "view"}, a.request_id);
      if (n % 7 == 0) {
        engine.impressions().sync();
        acknowledged.request.store(a.request_id);
        acknowledged.answers.store(before + static_cast<std::uint64_t>(n));
      }
      if (n % 150 == 0) engine.impressions().compact();
    }
  } catch (...) {
  }
  ::_exit(3);
}

TEST(JournalKill, ImpressionsAndWhatWasAskedSurvive) {
  const TempDir dir;
  void* shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& acknowledged = *new (shared) MadeDurable;
  std::mt19937 rng(5);
  std::uint64_t reached = 0;
  std::set<std::uint64_t> cut;  // on record, but killed before their click was, which nobody was promised
  for (int round = 0; round < 12; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) show_until_killed(dir / "engine", acknowledged);
    const std::uint64_t target = acknowledged.answers.load() + rng() % 100;
    for (int i = 0; i < 8000 && acknowledged.answers.load() <= target; ++i) std::this_thread::sleep_for(std::chrono::microseconds(500));
    std::this_thread::sleep_for(std::chrono::microseconds(rng() % 3000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, with " << WEXITSTATUS(status);
    const Engine found(dir / "engine", flushed_often());
    std::uint64_t last = 0;
    std::uint64_t told = 0;
    found.impressions().each([&](const Impression& shown) {
      ASSERT_LT(last, shown.request);
      last = shown.request;
      ASSERT_TRUE(shown.question) << "request " << last << " has lost what was asked for";
      EXPECT_EQ(shown.question->k, 3u);
      EXPECT_EQ(shown.question->filter, Predicate::price(0, 60).to_json());
      EXPECT_EQ(shown.question->anchors, std::vector<Key>{"i7"});
      EXPECT_FALSE(shown.question->exclude_seen);
      EXPECT_TRUE(shown.places[0].explored && shown.places[1].explored && shown.replays());
      if (last > acknowledged.request.load()) {
        if (shown.places[1].reactions.empty()) cut.insert(last);
        return;
      }
      ++told;
      EXPECT_EQ(shown.places[1].reactions.size(), cut.contains(last) ? 0u : 1u) << "request " << last << " has lost its click";
    });
    EXPECT_LE(cut.size(), static_cast<std::size_t>(round) + 1) << "a click follows its answer: a kill falls between them once at most";
    ASSERT_GE(told, acknowledged.answers.load()) << "round " << round << ": answers that were made durable are gone";
    EXPECT_GE(last, reached);
    reached = last;
  }
  ::munmap(shared, 4096);
  EXPECT_GT(reached, 300u) << "the children hardly got anywhere: the test shows little";
}

}  // namespace
}  // namespace etalage
