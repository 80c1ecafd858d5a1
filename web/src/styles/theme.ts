import { createTheme, type MantineColorsTuple } from '@mantine/core';

const iris: MantineColorsTuple = [
  '#f5f4ff',
  '#e8e6fd',
  '#d3cffa',
  '#b7b1f4',
  '#9a93ec',
  '#7d76e2',
  '#6863d6',
  '#5753c6',
  '#4a46ad',
  '#3b388d',
];

const gray: MantineColorsTuple = [
  '#fafafb',
  '#f4f4f6',
  '#ebebef',
  '#e1e2e8',
  '#d0d1d9',
  '#a6a8b3',
  '#666874',
  '#4a4c57',
  '#2e3038',
  '#1a1b20',
];

const dark: MantineColorsTuple = [
  '#ececef',
  '#c4c5cb',
  '#9d9fa9',
  '#8a8c96',
  '#2c2d33',
  '#212227',
  '#16171a',
  '#0d0e10',
  '#0a0b0c',
  '#060607',
];

const closeButtonProps = { 'aria-label': 'Close' };
const overlayProps = { backgroundOpacity: 0.4 };
const surface = { background: 'var(--mb-surface)' };

/** Mantine in the page's own colors: near-neutral grays, one iris, small type. */
export const theme = createTheme({
  primaryColor: 'iris',
  primaryShade: { light: 7, dark: 7 },
  colors: { iris, gray, dark },
  defaultRadius: 'md',
  radius: { xs: '4px', sm: '6px', md: '7px', lg: '10px', xl: '14px' },
  fontFamily:
    "-apple-system, BlinkMacSystemFont, 'Segoe UI Variable Text', 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
  fontFamilyMonospace:
    "ui-monospace, SFMono-Regular, 'SF Mono', Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace",
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '20px' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: 'sm' } },
    TextInput: { defaultProps: { size: 'sm' } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: false, transitionProps: { duration: 80 } } },
    Modal: {
      defaultProps: {
        centered: true,
        radius: 'lg',
        transitionProps: { duration: 120 },
        overlayProps,
        closeButtonProps,
      },
      styles: { content: { ...surface, border: '1px solid var(--mb-line)' }, header: surface },
    },
    Drawer: {
      defaultProps: { transitionProps: { duration: 160 }, overlayProps, closeButtonProps },
      styles: { content: surface, header: surface },
    },
    SegmentedControl: {
      defaultProps: { withItemsBorders: false },
      styles: { label: { paddingInline: 10, fontWeight: 500 } },
    },
    Select: { defaultProps: { comboboxProps: { portalProps: { target: '#main' } } } },
    Menu: {
      defaultProps: {
        shadow: 'md',
        position: 'bottom-end',
        transitionProps: { duration: 80 },
        // A menu holds menu items only, and stands in a landmark, as a list of choices does.
        withInitialFocusPlaceholder: false,
        portalProps: { target: '#main' },
      },
    },
  },
});
