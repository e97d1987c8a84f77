// Does to a program of Windows what its user does, under Wine: scripts/ports-parts/windows.sh builds and calls it.
//
//     press size W H              gives signcam's window a content of W x H pixels
//     press close                 closes signcam's window
//     press clipboard             prints the clipboard's text
//     press ctrl-c S COMMAND      runs a command in a console, presses Ctrl-C after S seconds, and ends with its status
//     press console S COMMAND     closes the console instead
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int fail(const char *what) {
    fprintf(stderr, "press: %s: error %lu\n", what, GetLastError());
    return 99;
}

static int resize(int width, int height) {
    HWND window = FindWindowA("minifb_window", NULL);
    if (!window) return fail("no window");
    RECT box = {0, 0, width, height};
    AdjustWindowRect(&box, GetWindowLong(window, GWL_STYLE), FALSE);
    SetWindowPos(window, NULL, 0, 0, box.right - box.left, box.bottom - box.top, SWP_NOMOVE | SWP_NOZORDER);
    return 0;
}

static int close_window(void) {
    HWND window = FindWindowA("minifb_window", NULL);
    return window && PostMessageA(window, WM_CLOSE, 0, 0) ? 0 : fail("no window");
}

static int clipboard(void) {
    if (!OpenClipboard(NULL)) return fail("no clipboard");
    HANDLE held = GetClipboardData(CF_UNICODETEXT);
    const WCHAR *text = held ? GlobalLock(held) : NULL;
    if (!text) return fail("no text on the clipboard");
    char utf8[4096];
    WideCharToMultiByte(CP_UTF8, 0, text, -1, utf8, sizeof utf8, NULL, NULL);
    puts(utf8);
    return 0;
}

// What is meant for the command leaves this program as it is, until it ends by itself.
static BOOL WINAPI not_me(DWORD event) {
    if (event != CTRL_C_EVENT) Sleep(20000);
    return TRUE;
}

static int in_console(int close, int seconds, char *command) {
    // What both write goes where it went, not to the console.
    HANDLE out = GetStdHandle(STD_OUTPUT_HANDLE), err = GetStdHandle(STD_ERROR_HANDLE);
    FreeConsole();
    if (!AllocConsole()) return fail("no console");
    SetConsoleCtrlHandler(not_me, TRUE);
    SetHandleInformation(out, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    SetHandleInformation(err, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES, .hStdOutput = out, .hStdError = err};
    PROCESS_INFORMATION program;
    if (!CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start, &program)) return fail(command);
    Sleep(1000 * seconds);
    if (close) PostMessageA(GetConsoleWindow(), WM_CLOSE, 0, 0);
    else if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) return fail("no Ctrl-C");
    DWORD status = 98;
    if (WaitForSingleObject(program.hProcess, 15000)) return fail("it did not end");
    GetExitCodeProcess(program.hProcess, &status);
    return status;
}

int main(int count, char **given) {
    if (count == 4 && !strcmp(given[1], "size")) return resize(atoi(given[2]), atoi(given[3]));
    if (count == 2 && !strcmp(given[1], "close")) return close_window();
    if (count == 2 && !strcmp(given[1], "clipboard")) return clipboard();
    if (count == 4 && !strcmp(given[1], "ctrl-c")) return in_console(FALSE, atoi(given[2]), given[3]);
    if (count == 4 && !strcmp(given[1], "console")) return in_console(TRUE, atoi(given[2]), given[3]);
    return 97;
}
