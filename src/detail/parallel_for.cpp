// SPDX-License-Identifier: Apache-2.0
#include "detail/parallel_for.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <fstream>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(ETALAGE_USE_OPENMP)
#include <omp.h>
#endif

namespace etalage::detail {
namespace {

// Recorded while the library is loaded: a different pid later means that this process is a forked child.
const pid_t g_load_pid = ::getpid();

thread_local bool t_in_parallel = false;

/// CPUs by cgroup quota, rounded up; 0 when there is none.
int cgroup_quota() {
  const auto ratio = [](double quota, double period) {
    return quota > 0 && period > 0 ? std::max(1, static_cast<int>(quota / period + 0.999)) : 0;
  };
  // The process's own group where it can be told, else the root of the (name-spaced) hierarchy.
  std::vector<std::string> groups;
  {
    std::ifstream in("/proc/self/cgroup");
    std::string line;
    while (std::getline(in, line)) {
      const auto colon = line.rfind(':');
      if (line.rfind("0::", 0) == 0 && colon != std::string::npos) groups.push_back(line.substr(colon + 1));
    }
  }
  groups.emplace_back("");
  int best = 0;
  for (std::string group : groups) {
    // A quota of any ancestor binds.
    while (true) {
      std::ifstream in("/sys/fs/cgroup" + group + "/cpu.max");
      std::string quota;
      double period = 0;
      if (in >> quota >> period && quota != "max") {
        double q = 0;
        try {
          q = std::stod(quota);
        } catch (const std::exception&) {
          q = 0;
        }
        const int n = ratio(q, period);
        if (n > 0 && (best == 0 || n < best)) best = n;
      }
      if (group.empty() || group == "/") break;
      group.erase(group.rfind('/'));
    }
  }
  if (best == 0) {
    std::ifstream q("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    std::ifstream p("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    double quota = 0;
    double period = 0;
    if (q >> quota && p >> period) best = ratio(quota, period);
  }
  return best;
}

int count_cpus() noexcept {
  int cpus = 0;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  if (cpus <= 0) cpus = static_cast<int>(std::thread::hardware_concurrency());
  try {
    const int quota = cgroup_quota();
    if (quota > 0) cpus = std::min(cpus, quota);
  } catch (...) {
    // An unreadable cgroup file is no reason to fail: the affinity mask stands.
  }
  return std::max(cpus, 1);
}

/// State shared by the threads of one loop.
struct Loop {
  Loop(std::size_t count, std::size_t chunk, LoopBody loop_body) : n(count), grain(chunk), body(loop_body) {}

  const std::size_t n;
  const std::size_t grain;
  const LoopBody body;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;
  std::size_t error_begin = std::numeric_limits<std::size_t>::max();

  void run(int thread) noexcept {
    const bool outer = t_in_parallel;
    t_in_parallel = true;
    std::size_t begin = 0;
    try {
      while (!failed.load(std::memory_order_relaxed)) {
        begin = next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= n) break;
        body(begin, std::min(n, begin + grain), thread);
      }
    } catch (...) {
      // Chunks are handed out in order and each one handed out is run, so the lowest failing chunk always fails: its
      // error is the one a serial loop would have met, whatever the number of threads.
      const std::lock_guard lock(mutex);
      if (begin < error_begin) {
        error = std::current_exception();
        error_begin = begin;
      }
      failed.store(true, std::memory_order_relaxed);
    }
    t_in_parallel = outer;
  }
};

void run_with_std_threads(Loop& loop, int threads) {
  std::vector<std::thread> pool;
  pool.reserve(static_cast<std::size_t>(threads) - 1);
  try {
    for (int t = 1; t < threads; ++t) pool.emplace_back([&loop, t] { loop.run(t); });
  } catch (const std::system_error&) {
    // Fewer threads than asked for: the others take the chunks.
  }
  loop.run(0);
  for (std::thread& t : pool) t.join();
}

#if defined(ETALAGE_USE_OPENMP)

/// How many threads the calling thread's last OpenMP region had: so many are kept by libgomp for its next one.
thread_local int t_team = 1;

/// libgomp ends the process when the system refuses a thread (memory, a limit on processes). Where it is about to make
/// some, whether they can be had is tried first with threads that can fail.
bool can_make_threads(int count) noexcept {
  std::atomic<bool> all_made{false};
  bool made = true;
  std::vector<std::thread> tried;
  try {
    tried.reserve(static_cast<std::size_t>(count));
    // They wait for each other: all must be there at once.
    for (int t = 0; t < count; ++t) tried.emplace_back([&all_made] { all_made.wait(false); });
  } catch (const std::exception&) {
    made = false;
  }
  all_made.store(true);
  all_made.notify_all();
  for (std::thread& t : tried) t.join();
  return made;
}

#endif

}  // namespace

int available_cpus() noexcept {
  static const int cpus = count_cpus();
  return cpus;
}

int resolve_threads(int num_threads) {
  if (num_threads < 0)
    throw std::invalid_argument("num_threads is " + std::to_string(num_threads) + ", must be >= 0 (0 means all CPUs)");
  // More threads than may run at once only cost memory, and the number may come from a file.
  return num_threads == 0 ? available_cpus() : std::min(num_threads, available_cpus());
}

bool in_parallel() noexcept { return t_in_parallel; }

void parallel_for(std::size_t n, std::size_t grain, int num_threads, LoopBody body) {
  int threads = resolve_threads(num_threads);
  if (n == 0) return;
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t chunks = num_chunks(n, grain);
  threads = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(threads), chunks));
  if (threads <= 1 || t_in_parallel) {
    for (std::size_t begin = 0; begin < n; begin += grain) body(begin, std::min(n, begin + grain), 0);
    return;
  }
  Loop loop(n, grain, body);
#if defined(ETALAGE_USE_OPENMP)
  if (::getpid() == g_load_pid && (threads <= t_team || can_make_threads(threads - 1))) {
    t_team = threads;
#pragma omp parallel num_threads(threads)
    loop.run(omp_get_thread_num());
  } else {
    run_with_std_threads(loop, threads);
  }
#else
  run_with_std_threads(loop, threads);
#endif
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace etalage::detail
