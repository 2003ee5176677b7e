#include "cli/mapping_guard.hpp"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>

namespace tare::cli {
namespace {

constexpr std::uintptr_t kPage = 4096;

// For the handler, which has nothing else to find a mapping by.
std::array<MappingGuard::Slot, 64> slots;

// Puts zeros in the place of a page that is gone, and of all behind it in its mapping.
bool cover(std::uintptr_t address) {
  for (MappingGuard::Slot& slot : slots) {
    const std::uintptr_t end = slot.end;
    if (address < slot.begin || address >= end) continue;
    const std::uintptr_t page = address / kPage * kPage;
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    void* const place = reinterpret_cast<void*>(page);
    if (::mmap(place, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED) {
      return false;
    }
    slot.damaged = true;
    return true;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  // Not ours: as if there were no handler, when the instruction runs again.
  if (!cover(reinterpret_cast<std::uintptr_t>(info->si_addr))) ::signal(signal, SIG_DFL);
  errno = saved;
}

bool install_handler() {
  struct sigaction action{};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(SIGBUS, &action, nullptr) == 0;
}

}  // namespace

MappingGuard::MappingGuard(ByteSpan mapped) {
  [[maybe_unused]] static const bool installed = install_handler();
  for (Slot& slot : slots) {
    if (slot.taken.exchange(true)) continue;
    slot_ = &slot;
    slot.damaged = false;
    slot.begin = reinterpret_cast<std::uintptr_t>(mapped.data());
    slot.end = slot.begin + mapped.size();
    return;
  }
}

MappingGuard::~MappingGuard() {
  if (slot_ == nullptr) return;
  slot_->end = 0;
  slot_->taken = false;
}

bool MappingGuard::damaged() const {
  return slot_ != nullptr && slot_->damaged;
}

}  // namespace tare::cli
