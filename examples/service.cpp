// SPDX-License-Identifier: Apache-2.0
// The heart of a shop's service: 32 threads of the host answer requests while another loads retrained models and swaps
// them in. No lock is held while a request is answered, no request sees half a model, and the library adds no thread:
// the program counts those of its own process and fails when there is one too many.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <etalage/etalage.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Model = std::shared_ptr<const etalage::Recommender>;

/// The model in service. A reader keeps its own pointer and looks at one atomic number per request; only after a swap
/// does it take the lock, for the length of a pointer copy. (std::atomic<std::shared_ptr> would lock on every read.)
class Published {
 public:
  explicit Published(Model first) : model_(std::move(first)) {}
  void swap(Model next) {
    {
      const std::lock_guard lock(mutex_);
      model_.swap(next);
      version_.fetch_add(1, std::memory_order_release);
    }
    // The old model dies here or with the last reader, outside the lock.
  }
  class Reader {
   public:
    explicit Reader(const Published& published) : published_(published) { refresh(); }
    const etalage::Recommender& get() {
      if (published_.version_.load(std::memory_order_acquire) != version_) refresh();
      return *model_;
    }

   private:
    void refresh() {
      const std::lock_guard lock(published_.mutex_);
      model_ = published_.model_;
      version_ = published_.version_.load(std::memory_order_relaxed);
    }
    const Published& published_;
    Model model_;
    std::uint64_t version_ = 0;
  };

 private:
  mutable std::mutex mutex_;
  Model model_;
  std::atomic<std::uint64_t> version_{0};
};

int threads_of_this_process() {
  int n = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++n;
  return n;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2.0;
  constexpr int kServing = 32;
  const auto folder = std::filesystem::temp_directory_path() / ("etalage_service_" + std::to_string(::clock()) + "_" +
                                                                std::to_string(Clock::now().time_since_epoch().count()));
  std::filesystem::create_directories(folder);

  // What the nightly job would do: two generations of a model, on files. One thread, so that no pool is left behind to
  // be mistaken for threads of the serving side.
  const etalage::SyntheticStore store = etalage::make_synthetic_store({.users = 2000, .items = 1000, .num_threads = 1});
  const etalage::Interactions data = store.log().interactions();
  const std::filesystem::path files[] = {folder / "monday.etalage", folder / "tuesday.etalage"};
  for (int day = 0; day < 2; ++day) {
    etalage::AlsModel model({.factors = 32, .iterations = 4 + day, .num_threads = 1});
    model.fit(data);
    etalage::save(model, files[day]);
  }

  const etalage::LoadOptions loading{.num_threads = 1};
  Published published(etalage::load(files[0], loading));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::vector<float>> latencies(kServing);
  std::vector<std::thread> serving;
  for (int t = 0; t < kServing; ++t)
    serving.emplace_back([&, t] {
      etalage::Scratch scratch;
      etalage::ItemScore best[10];
      Published::Reader reader(published);
      std::int32_t user = t;
      while (!stop.load(std::memory_order_relaxed)) {
        const auto start = Clock::now();
        const etalage::Recommender& model = reader.get();
        user = (user + 37) % model.num_users();
        const std::size_t found = model.recommend({.user = user}, best, scratch);
        latencies[static_cast<std::size_t>(t)].push_back(
            std::chrono::duration<float, std::micro>(Clock::now() - start).count());
        bool sorted = found == 10;
        for (std::size_t i = 1; i < found; ++i) sorted = sorted && best[i - 1].score >= best[i].score;
        if (!sorted) ++wrong;
      }
    });
  int swaps = 0;
  int most_threads = 0;
  std::thread loader([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      published.swap(etalage::load(files[(swaps + 1) % 2], loading));
      ++swaps;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    most_threads = std::max(most_threads, threads_of_this_process());
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stop = true;
  for (std::thread& t : serving) t.join();
  loader.join();
  std::filesystem::remove_all(folder);

  std::vector<float> all;
  for (const auto& l : latencies) all.insert(all.end(), l.begin(), l.end());
  if (all.empty()) return 1;
  std::sort(all.begin(), all.end());
  const auto at = [&](double share) { return static_cast<double>(all[static_cast<std::size_t>(share * static_cast<double>(all.size() - 1))]); };
  constexpr int kExpected = kServing + 2;  // these, the loader, and the one that runs main
  std::printf("%zu requests on %d threads in %.1f s, %d swaps of the model\n", all.size(), kServing, seconds, swaps);
  std::printf("latency p50 %.0f us, p95 %.0f us, p99 %.0f us (32 threads share %u CPUs)\n", at(0.5), at(0.95), at(0.99),
              std::thread::hardware_concurrency());
  std::printf("threads of the process: %d made by this program, %d seen; wrong answers: %d\n", kExpected, most_threads,
              wrong.load());
  return wrong == 0 && swaps > 0 && most_threads <= kExpected ? 0 : 1;
}
