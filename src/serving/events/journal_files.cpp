// SPDX-License-Identifier: Apache-2.0
#include "etalage/extend/journal_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "etalage/serving/journal.hpp"

namespace etalage {

JournalFile::~JournalFile() = default;
JournalFiles::~JournalFiles() = default;

namespace {

namespace fs = std::filesystem;

[[noreturn]] void raise(const char* what, const fs::path& path, int error) {
  throw fs::filesystem_error(what, path, std::error_code(error, std::generic_category()));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class SystemFile final : public JournalFile {
 public:
  SystemFile(int fd, fs::path path) : fd_(fd), path_(std::move(path)) {}

  std::uint64_t size() const override {
    struct stat s {};
    if (::fstat(fd_.get(), &s) != 0) raise("cannot read", path_, errno);
    return static_cast<std::uint64_t>(s.st_size);
  }

  std::size_t read(std::uint64_t offset, std::span<std::byte> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, std::min(out.size() - done, kPiece), static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) raise("cannot read", path_, errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data() + done, std::min(bytes.size() - done, kPiece), static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) raise("cannot write", path_, n < 0 ? errno : EIO);
      done += static_cast<std::size_t>(n);
    }
  }

  void sync() override {
    if (::fdatasync(fd_.get()) != 0) raise("cannot flush", path_, errno);
  }

  void truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) raise("cannot cut", path_, errno);
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 26;
  Descriptor fd_;
  fs::path path_;
};

class SystemFiles final : public JournalFiles {
 public:
  void make_directory(const fs::path& directory) override { fs::create_directories(directory); }

  std::vector<std::string> list(const fs::path& directory) override {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename().string());
    return names;
  }

  std::unique_ptr<JournalFile> open(const fs::path& path, Mode mode) override {
    const int flags = mode == Mode::kRead ? O_RDONLY : mode == Mode::kReadWrite ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC;
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (fd < 0) raise("cannot open", path, errno);
    return std::make_unique<SystemFile>(fd, path);
  }

  void rename(const fs::path& from, const fs::path& to) override { fs::rename(from, to); }
  void remove(const fs::path& path) override { fs::remove(path); }

  void sync_directory(const fs::path& directory) override {
    const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) raise("cannot open", directory, errno);
    // Some file systems cannot flush a directory and say EINVAL.
    if (::fsync(fd.get()) != 0 && errno != EINVAL) raise("cannot flush", directory, errno);
  }

  std::shared_ptr<void> lock(const fs::path& path) override {
    auto fd = std::make_shared<Descriptor>(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (fd->get() < 0) raise("cannot open", path, errno);
    while (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) raise("cannot lock", path, errno);
      char text[32] = {};
      const ssize_t n = ::pread(fd->get(), text, sizeof text - 1, 0);
      const std::string pid = n > 0 ? std::string(text, static_cast<std::size_t>(n)) : "unknown";
      throw JournalLockedError(path.parent_path().string() + " is written by process " + pid + ", must have one writer at a time");
    }
    // Only for the message above.
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(fd->get(), 0) == 0) (void)!::pwrite(fd->get(), pid.data(), pid.size(), 0);
    return fd;
  }
};

}  // namespace

std::shared_ptr<JournalFiles> system_journal_files() {
  static const std::shared_ptr<JournalFiles> files = std::make_shared<SystemFiles>();
  return files;
}

}  // namespace etalage
