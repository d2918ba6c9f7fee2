// SPDX-License-Identifier: Apache-2.0
// A save that dies at any moment leaves the old file or the new one; a disk that fills leaves the old one.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "io/atomic_file.hpp"
#include "io/tiny_model.hpp"

namespace etalage {
namespace {

using testing::TempDir;
using testing::tiny_model;
using testing::TinyModel;

class CrashSafety : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { register_model("Tiny", &TinyModel::from_state); }

  static TinyModel big(float value, std::size_t n = 1 << 19) {
    Array<float> scores(n, uninitialized);
    scores.fill(value);
    return TinyModel(std::move(scores), 0);
  }
  static float value_of(const std::filesystem::path& path) {
    const auto m = load(path);
    const auto& scores = dynamic_cast<const TinyModel&>(*m).scores();
    for (const float s : scores) EXPECT_EQ(s, scores[0]);
    return scores[0];
  }
  static int code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const std::filesystem::filesystem_error& e) {
      return e.code().value();
    }
    return 0;
  }
  /// Runs in a child, whose limits and mounts die with it. -1 for a child that crashed.
  static int in_child(const std::function<int()>& body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      int code = 99;
      try {
        code = body();
      } catch (...) {
      }
      ::_exit(code);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_F(CrashSafety, AKilledSaveLeavesACompleteFile) {
  const TempDir dir;
  const auto path = dir / "m.etalage";
  save(big(0), path);
  std::mt19937 rng(3);
  int changed = 0;
  for (int round = 0; round < 25; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int i = 1;; ++i) save(big(static_cast<float>(round * 100000 + i)), path);
    }
    // Longer and longer, so that a busy machine completes some too.
    std::this_thread::sleep_for(std::chrono::microseconds(3000 + rng() % static_cast<unsigned>(8000 * (round + 1))));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    changed += value_of(path) != 0;
  }
  EXPECT_GT(changed, 0) << "no save was ever complete: the test shows nothing";
}

TEST_F(CrashSafety, AFileSizeLimitLeavesTheOldFileAndNoOther) {
  const TempDir dir;
  const auto path = dir / "m.etalage";
  save(big(1), path);
  EXPECT_EQ(in_child([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{1 << 16, 1 << 16};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              return code_of([&] { save(big(2), path); });
            }),
            EFBIG);
  EXPECT_EQ(value_of(path), 1.0f);
  EXPECT_EQ(dir.files(), 1u);
}

TEST_F(CrashSafety, AFullDiskLeavesTheOldFileAndNoOther) {
  const TempDir dir;
  constexpr int kNoMount = 77;
  const int result = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kNoMount;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("etalage", dir.path().c_str(), "tmpfs", 0, "size=3m") != 0) return kNoMount;
    const auto path = dir / "m.etalage";
    save(big(1), path);
    // Refused when the room is asked for, and refused in the midst of writing where nothing was asked for.
    if (code_of([&] { save(big(2), path); }) != ENOSPC) return 1;
    const std::vector<std::byte> chunk(1 << 20);
    const int code = code_of([&] {
      io::AtomicFile file(path, 0);
      for (int i = 0; i < 8; ++i) file.write(chunk);
      file.commit();
    });
    if (code != ENOSPC) return 2;
    if (value_of(path) != 1.0f) return 3;
    if (dir.files() != 1) return 4;
    std::filesystem::remove(path);
    save(big(3), path);
    return value_of(path) == 3.0f ? 0 : 5;
  });
  if (result == kNoMount) GTEST_SKIP() << "a small disk cannot be mounted here";
  EXPECT_EQ(result, 0);
}

TEST_F(CrashSafety, AnUncommittedFileIsGone) {
  const TempDir dir;
  {
    io::AtomicFile file(dir / "m", 10);
    EXPECT_EQ(dir.files(), 1u);
  }
  EXPECT_EQ(dir.files(), 0u);
  EXPECT_THROW(save_state(dir / "m", "Test", [](StateWriter&) { throw std::runtime_error("no"); }), std::runtime_error);
  EXPECT_EQ(dir.files(), 0u);
}

TEST_F(CrashSafety, AReadOnlyDirectoryIsAnError) {
  const TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0555), 0);
  EXPECT_EQ(in_child([&] {
              if (::geteuid() == 0 && ::setuid(65534) != 0) return 1;  // root may write everywhere
              return code_of([&] { save(tiny_model(), dir / "m"); });
            }),
            EACCES);
  EXPECT_EQ(dir.files(), 0u);
}

TEST_F(CrashSafety, LinksAreFollowedAndPermissionsKept) {
  const TempDir dir;
  save(tiny_model(), dir / "v1");
  ASSERT_EQ(::chmod((dir / "v1").c_str(), 0640), 0);
  std::filesystem::create_symlink("v1", dir / "current");
  save(big(2, 10), dir / "current");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "current"));
  EXPECT_EQ(value_of(dir / "v1"), 2.0f);
  EXPECT_EQ(static_cast<int>(std::filesystem::status(dir / "v1").permissions()), 0640);
  EXPECT_EQ(dir.files(), 2u);
}

TEST_F(CrashSafety, SavingInTheWorkingDirectoryNeedsNoSlash) {
  const TempDir dir;
  EXPECT_EQ(in_child([&] {
              if (::chdir(dir.path().c_str()) != 0) return 1;
              save(big(4, 10), "m.etalage");
              return value_of("m.etalage") == 4.0f ? 0 : 2;
            }),
            0);
}

TEST_F(CrashSafety, AModelInUseSurvivesItsReplacement) {
  const TempDir dir;
  save(big(1), dir / "m");
  const auto old = load(dir / "m");
  save(big(2), dir / "m");
  for (const float s : dynamic_cast<const TinyModel&>(*old).scores()) ASSERT_EQ(s, 1.0f);
  EXPECT_EQ(value_of(dir / "m"), 2.0f);
}

struct Mapped {
  long rss = 0;
  long pss = 0;
};

/// Kilobytes of this process's mapping of a file.
Mapped mapping_of(const std::filesystem::path& path) {
  std::ifstream in("/proc/self/smaps");
  Mapped out;
  bool ours = false;
  for (std::string line; std::getline(in, line);) {
    if (line.find('-') < line.find(' ') && line.find('/') != std::string::npos) ours = line.ends_with(path.string());
    else if (line.find('-') < line.find(' ') && line.find(':') > line.find(' ')) ours = false;
    if (ours && line.starts_with("Rss:")) out.rss += std::stol(line.substr(4));
    if (ours && line.starts_with("Pss:")) out.pss += std::stol(line.substr(4));
  }
  return out;
}

TEST_F(CrashSafety, TwoProcessesShareAModelsPages) {
  const TempDir dir;
  const auto path = dir / "m.etalage";
  save(big(1, std::size_t{4} << 20), path);  // 16 MiB
  int ready[2];
  int done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto m = load(path);
    char c = 'r';
    (void)!::write(ready[1], &c, 1);
    (void)!::read(done[0], &c, 1);
    ::_exit(0);
  }
  char c = 0;
  ASSERT_EQ(::read(ready[0], &c, 1), 1);
  const auto m = load(path);
  const Mapped ours = mapping_of(path);
  (void)!::write(done[1], "d", 1);
  ::waitpid(child, nullptr, 0);
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) ::close(fd);
  EXPECT_GE(ours.rss, 16 * 1024);
  EXPECT_LE(ours.pss, ours.rss * 6 / 10) << "Rss " << ours.rss << " kB";
}

}  // namespace
}  // namespace etalage
