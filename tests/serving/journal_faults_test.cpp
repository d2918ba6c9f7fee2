// SPDX-License-Identifier: Apache-2.0
// The journal on a disk that loses, reorders and tears what was not flushed, fills up, and fails to flush.
#include <gtest/gtest.h>

#include <random>

#include "etalage/error.hpp"
#include "serving/fake_files.hpp"
#include "serving/journal_fixture.hpp"

namespace etalage {
namespace {

using testing::bytes_of;
using testing::compact;
using testing::FakeDisk;
using testing::payload_of;
using testing::Replayed;

struct PowerLoss {};

JournalOptions on(const std::shared_ptr<FakeDisk>& disk, Durability durability) {
  JournalOptions o;
  o.files = disk;
  o.durability = durability;
  o.interval_ms = 3'600'000;  // the tests say when
  o.segment_bytes = 4096;
  return o;
}

TEST(JournalFaults, APowerLossKeepsWhatWasAcknowledged) {
  std::mt19937 rng(7);
  int cuts = 0;
  int holes = 0;
  for (int round = 0; round < 300; ++round) {
    const auto disk = std::make_shared<FakeDisk>();
    std::int64_t acknowledged = 0;
    for (int life = 0; life < 4; ++life) {
      const auto durability = rng() % 2 == 0 ? Durability::kEveryEvent : Durability::kInterval;
      int calls = static_cast<int>(1 + rng() % 120);
      try {
        Replayed found;
        auto j = std::make_unique<Journal>("/", on(disk, durability), found.sink());
        ASSERT_GE(found.whole(), acknowledged) << "round " << round << ", life " << life;
        cuts += !j->recovery().cut_reason.empty();
        holes += j->recovery().cut_events > 0;
        acknowledged = static_cast<std::int64_t>(j->durable_through());
        disk->before_call = [&calls] {
          if (--calls < 0) throw PowerLoss{};
        };
        try {
          for (int i = 0; i < 300; ++i) {
            const std::uint64_t next = j->last_sequence() + 1;
            j->append(bytes_of(payload_of(next)));
            if (durability == Durability::kInterval && rng() % 10 == 0) j->sync();
            if (rng() % 40 == 0) compact(*j);
            acknowledged = static_cast<std::int64_t>(j->durable_through());
          }
        } catch (const PowerLoss&) {
          acknowledged = std::max(acknowledged, static_cast<std::int64_t>(j->durable_through()));
        }
        // Nothing may be tidied up after the loss: the closing flush fails as everything does.
        disk->before_call = [] { throw std::filesystem::filesystem_error("no power", std::make_error_code(std::errc::io_error)); };
        j.reset();
      } catch (const PowerLoss&) {
      }
      disk->lose_power(rng);
    }
    Replayed found;
    const Journal j("/", on(disk, Durability::kEveryEvent), found.sink());
    ASSERT_GE(found.whole(), acknowledged) << "round " << round;
  }
  EXPECT_GT(cuts, 50);
  EXPECT_GT(holes, 5) << "no write was ever reordered: the test shows little";
}

TEST(JournalFaults, AFullDiskIsAnErrorAndLosesNothing) {
  for (const Durability durability : {Durability::kEveryEvent, Durability::kInterval}) {
    const auto disk = std::make_shared<FakeDisk>();
    std::uint64_t accepted = 0;
    {
      Journal j("/", on(disk, durability), {});
      for (int i = 0; i < 20; ++i) accepted = j.append(bytes_of(payload_of(accepted + 1)));
      j.sync();
      disk->shrink_to_used();
      // The one that meets the wall is accepted and waits; later ones are refused before that.
      int errors = 0;
      for (int i = 0; i < 5; ++i) {
        try {
          j.append(bytes_of(payload_of(j.last_sequence() + 1)));
          j.sync();
        } catch (const std::filesystem::filesystem_error& e) {
          EXPECT_EQ(e.code(), std::errc::no_space_on_device);
          ++errors;
        }
      }
      EXPECT_EQ(errors, 5);
      EXPECT_EQ(j.last_sequence(), accepted + 1);
      EXPECT_EQ(j.durable_through(), accepted);
      EXPECT_NE(j.failure(), "");
      EXPECT_THROW(compact(j), std::filesystem::filesystem_error);
      {
        Replayed now;  // what a crash at this moment would leave, read without the lock that a fake disk has not
        const Journal other("/", on(disk->clone(), durability), now.sink());
        EXPECT_GE(now.whole(), static_cast<std::int64_t>(accepted));
      }
      disk->set_capacity(std::size_t{1} << 30);
      accepted = j.append(bytes_of(payload_of(j.last_sequence() + 1)));
      j.sync();
      EXPECT_EQ(j.durable_through(), accepted);
      EXPECT_EQ(j.failure(), "");
      EXPECT_EQ(compact(j), accepted);
    }
    Replayed found;
    const Journal j("/", on(disk, durability), found.sink());
    EXPECT_EQ(found.whole(), static_cast<std::int64_t>(accepted));
  }
}

TEST(JournalFaults, NoRoomForANewSegmentLetsTheOldOneGrow) {
  const auto disk = std::make_shared<FakeDisk>();
  std::uint64_t last = 0;
  {
    Journal j("/", on(disk, Durability::kEveryEvent), {});
    while (disk->used() < 4096 - 200) last = j.append(bytes_of(payload_of(last + 1)));
    // Room for the records up to the limit and for some of a header.
    disk->set_capacity(disk->used() + 250);
    try {
      for (;;) last = j.append(bytes_of(payload_of(last + 1)));
    } catch (const std::filesystem::filesystem_error&) {
    }
    disk->set_capacity(std::size_t{1} << 30);
    for (int i = 0; i < 100; ++i) last = j.append(bytes_of(payload_of(j.last_sequence() + 1)));
  }
  Replayed found;
  const Journal j("/", on(disk, Durability::kEveryEvent), found.sink());
  EXPECT_EQ(found.whole(), static_cast<std::int64_t>(last));
}

TEST(JournalFaults, WhatAFailedFlushDroppedIsWrittenAgain) {
  std::mt19937 rng(3);
  const auto disk = std::make_shared<FakeDisk>();
  {
    Journal j("/", on(disk, Durability::kInterval), {});
    for (int i = 0; i < 10; ++i) j.append(bytes_of(payload_of(j.last_sequence() + 1)));
    disk->failing_syncs = 2;
    EXPECT_THROW(j.sync(), std::filesystem::filesystem_error);
    EXPECT_EQ(j.durable_through(), 0u);
    EXPECT_THROW(j.append(bytes_of("refused")), std::filesystem::filesystem_error);
    j.append(bytes_of(payload_of(j.last_sequence() + 1)));
    j.sync();
    EXPECT_EQ(j.durable_through(), 11u);
    disk->before_call = [] { throw std::filesystem::filesystem_error("no power", std::make_error_code(std::errc::io_error)); };
  }
  disk->lose_power(rng);
  Replayed found;
  const Journal j("/", on(disk, Durability::kInterval), found.sink());
  EXPECT_EQ(found.whole(), 11);
}

}  // namespace
}  // namespace etalage
