// SPDX-License-Identifier: Apache-2.0
// Journals and their folders that are damaged or mean harm. Damage before the mark is a FormatError, never another past;
// what is forged is a FormatError or a store that answers, changes, compacts and opens again. Meant for a build with
// sanitizers; some hundreds of folders by default.
//
//   ETALAGE_FUZZ_EXECUTIONS=1000000 build/tests/journal_fuzz_test    more of them
//   ETALAGE_FUZZ_SEED=7             ...                              other ones
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/serving/event_store.hpp"
#include "io/tiny_model.hpp"
#include "serving/events/journal_format.hpp"
#include "serving/fake_files.hpp"
#include "serving/journal_mutate.hpp"
#include "serving/journal_sample.hpp"
#include "support/from_environment.hpp"

namespace etalage {
namespace {

using testing::FakeDisk;
using testing::Folder;
using testing::JournalMutator;
using testing::kLogNow;
using test::from_environment;

EventStoreOptions on(const std::shared_ptr<FakeDisk>& disk, bool repair = false) {
  EventStoreOptions o = testing::log_sample_options();
  o.history_limit = 12;
  o.max_shoppers = 40;
  o.journal.files = disk;
  o.journal.repair = repair;
  return o;
}

std::shared_ptr<FakeDisk> disk_of(const Folder& folder) {
  auto disk = std::make_shared<FakeDisk>();
  disk->put(folder);
  return disk;
}

void more(EventStore& store, int salt) {
  using testing::name;
  for (int e = 0; e < 30; ++e) {
    store.observe({name("u", (e * 5 + salt) % 11), name("i", (e * 7) % 13), e % 3 == 0 ? "purchase" : e % 5 == 0 ? "return" : "view",
                   kLogNow - (e * 37 + salt) % 150 * 3'600'000LL, static_cast<float>(e % 7 - 2)});
    if (e == 11) store.merge_users(name("v", salt), "u1");
    if (e == 12) store.erase_user("u2");
    if (e % 8 == 0) store.set_price(name("i", e), e % 16 == 0 ? std::optional<float>(1.5f) : std::nullopt, e % 3 == 0 ? "north" : "");
    if (e % 9 == 0) store.set_available(name("i", e), e % 2 == 0);
    if (e % 10 == 0) store.set_attribute(name("i", e), "colour", std::vector<std::string>{"red", "blue"});
  }
}

/// A compaction and several segments behind it with every kind of record that is written today.
Folder sample_folder() {
  const auto disk = std::make_shared<FakeDisk>();
  {
    EventStore store("/", on(disk));
    testing::log_sample_events(store);
    for (int v = 0; v < 45; ++v) store.observe({testing::name("v", v), "i1", "view", kLogNow - v});
    more(store, 3);
    store.compact();
    more(store, 5);
    for (int v = 50; v < 60; ++v) store.observe({testing::name("v", v), "i2", "view", kLogNow - v});
    more(store, 6);
  }
  return disk->files();
}

/// All that it says, with what was said of products.
std::vector<double> answers(const EventStore& store) {
  std::vector<double> out = testing::store_answers(store);
  for (int i = 0; i < 30; ++i) {
    for (const char* place : {"", "north"}) {
      const auto said = store.offer(std::string_view(testing::name("i", i)), place);
      out.push_back(said.price.value_or(-1));
      out.push_back(said.available ? *said.available : 2);
    }
  }
  return out;
}

TEST(JournalFuzz, DamageBeforeTheMarkIsAnErrorAndRepairSaysWhatItLost) {
  const Folder good = sample_folder();
  std::vector<double> said;
  std::uint64_t last = 0;
  {
    const EventStore store("/", on(disk_of(good)));
    said = answers(store);
    last = store.last_sequence();
  }
  const std::uint64_t rounds = from_environment("ETALAGE_FUZZ_EXECUTIONS", 600) / 2;
  const std::uint64_t seed = from_environment("ETALAGE_FUZZ_SEED", 1);
  std::uint64_t refused = 0;
  std::uint64_t repaired = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    const Folder folder = JournalMutator(good, seed * 1'000'003 + round).damaged();
    ::alarm(60);
    try {
      const EventStore store("/", on(disk_of(folder)));
      ASSERT_EQ(store.last_sequence(), last);
      ASSERT_EQ(answers(store), said) << "another past was taken for the one that was acknowledged";
    } catch (const FormatError&) {
      ++refused;
    }
    const auto disk = disk_of(folder);
    try {
      {
        EventStore store("/", on(disk, true));
        ++repaired;
        // What the manifest said of files that are gone went with it.
        if (folder.at("MANIFEST") == good.at("MANIFEST") && store.recovery()->lost_events == 0 && store.recovery()->cut_reason.empty()) {
          ASSERT_EQ(answers(store), said);
        }
        more(store, 7);
      }
      const EventStore again("/", on(disk));  // what was repaired is whole
      ASSERT_FALSE(answers(again).empty());
    } catch (const FormatError&) {
    }
  }
  ::alarm(0);
  EXPECT_GT(refused, rounds / 2);
  EXPECT_LT(refused, rounds);
  EXPECT_GT(repaired, rounds / 4);
}

TEST(JournalFuzz, WhatIsForgedIsRefusedOrUsable) {
  const Folder good = sample_folder();
  const std::uint64_t rounds = from_environment("ETALAGE_FUZZ_EXECUTIONS", 600) / 2;
  const std::uint64_t seed = from_environment("ETALAGE_FUZZ_SEED", 1);
  std::uint64_t refused = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    const auto disk = disk_of(JournalMutator(good, seed * 1'000'003 + round).forged());
    ::alarm(60);
    bool open = false;
    try {
      {
        EventStore store("/", on(disk, round % 3 == 0));
        open = true;
        ASSERT_FALSE(answers(store).empty());
        try {
          more(store, 9);
        } catch (const std::invalid_argument&) {
          // keys of the other kind than the forged ones
        }
        ASSERT_FALSE(answers(store).empty());
        store.compact();
      }
      const EventStore again("/", on(disk));
      ASSERT_FALSE(answers(again).empty());
    } catch (const FormatError& e) {
      if (open) ADD_FAILURE() << "accepted, and not when it was compacted or opened again: " << e.what();
      ++refused;
    } catch (const std::exception& e) {
      ADD_FAILURE() << e.what();
    }
  }
  ::alarm(0);
  EXPECT_GT(refused, 0u);
  EXPECT_LT(refused, rounds);
}

}  // namespace
}  // namespace etalage
