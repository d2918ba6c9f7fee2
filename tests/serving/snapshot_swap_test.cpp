// SPDX-License-Identifier: Apache-2.0
// Requests while snapshots come and go: each answer is of one snapshot alone, and replaced ones are freed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "serving/engine_fixture.hpp"
#include "serving/engine/epochs.hpp"

namespace etalage {
namespace {

using serving::Published;
using testing::numbered;
using testing::shop_snapshot;

struct Counted {
  explicit Counted(int v) : value(v), twice(2 * v) { ++alive(); }
  ~Counted() {
    value = -1;
    --alive();
  }
  static std::atomic<int>& alive() {
    static std::atomic<int> n{0};
    return n;
  }
  int value;
  int twice;
};

TEST(Published, IsFreedWhenItsLastReaderLeaves) {
  Published<Counted> p;
  EXPECT_EQ(p.read().get(), nullptr);
  p.publish(std::make_shared<const Counted>(1));
  {
    const auto reader = p.read();
    p.publish(std::make_shared<const Counted>(2));
    EXPECT_EQ(p.reclaim(), 1u);
    EXPECT_EQ(reader->value, 1);
    {
      const auto inner = p.read();  // nested in the first: both stay
      EXPECT_EQ(inner->value, 2);
    }
    EXPECT_EQ(p.reclaim(), 1u);
  }
  EXPECT_EQ(p.reclaim(), 0u);
  EXPECT_EQ(Counted::alive(), 1);
  std::thread reader([&] { EXPECT_EQ(p.read()->value, 2); });
  reader.join();
  p.publish(nullptr);
  EXPECT_EQ(p.reclaim(), 0u);
  EXPECT_EQ(Counted::alive(), 0);
}

TEST(Published, ReadersNeverSeeHalfOfOneOrAFreedOne) {
  Published<Counted> p;
  p.publish(std::make_shared<const Counted>(0));
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 4; ++t)
    readers.emplace_back([&] {
      int last = 0;
      while (!stop) {
        const auto r = p.read();
        ASSERT_EQ(r->twice, 2 * r->value);
        ASSERT_GE(r->value, last);
        last = r->value;
      }
    });
  for (int i = 1; i <= 2000; ++i) p.publish(std::make_shared<const Counted>(i));
  stop = true;
  for (auto& t : readers) t.join();
  EXPECT_EQ(p.reclaim(), 0u);
  EXPECT_EQ(Counted::alive(), 1);
}

TEST(Published, AChildWaitsForNoReaderOfItsParent) {
  Published<Counted> p;
  p.publish(std::make_shared<const Counted>(1));
  std::atomic<bool> reads{false};
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    const auto r = p.read();
    reads = true;
    while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  while (!reads) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {  // the reader is not here: its slot must not hold what was replaced
    p.publish(nullptr);
    _exit(p.reclaim() == 0 && Counted::alive() == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  p.publish(nullptr);
  EXPECT_EQ(p.reclaim(), 1u) << "in the parent it still reads";
  stop = true;
  reader.join();
  EXPECT_EQ(p.reclaim(), 0u);
}

TEST(Engine, EachAnswerIsOfOneSnapshot) {
  EngineOptions options;
  options.metrics = true;
  Engine engine(options);
  std::vector<std::shared_ptr<const Snapshot>> snapshots;
  for (int i = 0; i < 4; ++i) snapshots.push_back(shop_snapshot(std::string(1, static_cast<char>('a' + i)), static_cast<unsigned>(i)));
  // The n-th publication is of snapshot n - 1 modulo 4, and only its products begin with its letter.
  engine.publish(snapshots[0]);
  std::atomic<bool> stop{false};
  std::atomic<int> answers{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      EngineScratch scratch;
      Answer a;
      for (std::int64_t i = 0; !stop; ++i) {
        const std::string user = numbered("u", (i * 7 + t) % testing::kUsers);
        engine.recommend({.user = user, .k = 10}, a, scratch);
        ASSERT_EQ(a.items.size(), 10u);
        const char letter = static_cast<char>('a' + (a.snapshot - 1) % 4);
        for (const Recommended& r : a.items) ASSERT_EQ(std::get<std::string>(r.item)[0], letter) << a.snapshot;
        ++answers;
      }
    });
  threads.emplace_back([&] {
    for (std::int64_t i = 0; !stop; ++i) {
      const std::string user = numbered("u", i % 200);
      const std::string item = numbered(std::string(1, static_cast<char>('a' + i % 4)), i % 80);
      engine.observe({user, item, i % 5 == 0 ? "purchase" : "view"});
    }
  });
  for (int n = 1; n < 40; ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    engine.publish(snapshots[static_cast<std::size_t>(n % 4)]);
    if (n % 10 == 0) {
      engine.rollback();
      engine.rollback();
    }
  }
  for (int i = 0; i < 1000 && answers < 200; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  stop = true;
  for (auto& t : threads) t.join();
  EXPECT_GE(answers, 200);
}

TEST(Engine, AReplacedSnapshotIsFreed) {
  Engine engine;
  std::weak_ptr<const Snapshot> first;
  {
    auto snapshot = shop_snapshot("a");
    first = snapshot;
    engine.publish(std::move(snapshot));
  }
  engine.publish(shop_snapshot("b"));
  EXPECT_FALSE(first.expired()) << "one can roll back to it";
  engine.publish(shop_snapshot("c"));
  for (int i = 0; i < 1000 && !first.expired(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_TRUE(first.expired());
  EXPECT_EQ(engine.unreclaimed(), 0u);
  std::weak_ptr<const Snapshot> third = engine.snapshot();
  engine.rollback();
  engine.forget_previous();
  for (int i = 0; i < 1000 && !third.expired(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_TRUE(third.expired());
}

TEST(Engine, NoReplacedSnapshotWaitsForTheNextPublication) {
  // The sweeper is about to end whenever another one is retired: each must be seen, with readers coming and going.
  Engine engine;
  engine.publish(shop_snapshot("a"));
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop.load(std::memory_order_relaxed)) (void)engine.recommend({.k = 3});
  });
  std::weak_ptr<const Snapshot> before;
  for (int round = 0; round < 150 && !::testing::Test::HasFailure(); ++round) {
    const std::weak_ptr<const Snapshot> now = engine.snapshot();
    engine.publish(shop_snapshot(round % 2 == 0 ? "b" : "c"));
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!before.expired() && std::chrono::steady_clock::now() < patience) std::this_thread::sleep_for(std::chrono::microseconds(200 * (round % 15)));
    EXPECT_TRUE(before.expired()) << "round " << round;
    before = now;
  }
  stop.store(true);
  reader.join();
}

}  // namespace
}  // namespace etalage
